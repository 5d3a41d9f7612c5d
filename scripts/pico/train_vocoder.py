"""HiFT: mel to wave. Losses on magnitudes at several resolutions and on mels of speech's own 25 ms.

The source's phase is a given: a sine that follows the teacher's fundamental (`locked`), so that the wave becomes nearly a function
of the inputs and windows shorter than a period can be asked for. Only the fundamental feeds the network (the reference draws the
phases of the other harmonics at random, which disperses every pulse).

    train_vocoder.py MINUTES [--gan] [--predicted] [--compile]
"""
import math, os
import librosa, numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from chatterbox.models.s3gen.utils.mel import mel_spectrogram
import networks, training
from common import HOP, RATE
from features import Features
from train_s3gen import dumped

RESOLUTIONS = [(2048, 480), (1024, 240), (512, 120), (256, 60), (128, 30)]
EDGE = 2 * HOP                                     # the borders lack context: they are left out of the losses


def carrier(f0):
    """Phase in cycles of a tone of `f0` [batch, samples], as the reference's sine generator counts it."""
    return torch.cumsum(f0.double() / RATE, 1) % 1


def locked(phase, wave, width=1024):
    """`phase` shifted slowly so that it follows the fundamental in `wave`: the tone is mixed down and averaged over `width`
    samples, short enough to follow, long enough to leave the second harmonic out."""
    turn = torch.exp(-2j * math.pi * phase)
    window = torch.hann_window(width, dtype=torch.float64, device=wave.device)
    size = wave.shape[1] + width
    mixed = torch.fft.ifft(torch.fft.fft(wave.double() * turn, size) * torch.fft.fft(window, size))
    return phase + torch.angle(mixed[:, width // 2: width // 2 + wave.shape[1]]) / (2 * math.pi)


def source(net, f0, wave):
    """The excitation [batch, 1, samples] for predicted `f0` [batch, frames] in Hz, in step with `wave`."""
    maker = net.m_source.l_sin_gen
    fine = f0.repeat_interleave(HOP, 1)
    with torch.no_grad():
        phase = locked(carrier(fine), wave)
        voiced = (fine > maker.voiced_threshold).float()
        sine = torch.sin(2 * math.pi * phase).float() * maker.sine_amp * voiced
        level = voiced * maker.noise_std + (1 - voiced) * maker.sine_amp / 3
        waves = torch.zeros(*sine.shape, maker.harmonic_num + 1, device=sine.device)
        waves[..., 0] = sine
        waves[..., 0] += level * torch.randn_like(sine)
    return torch.tanh(net.m_source.l_linear(waves)).transpose(1, 2)


def fused(net):
    """Has the activation between all convolutions compiled: a fifth of a step's time on a CPU."""
    torch._dynamo.config.recompile_limit = 64          # once for each number of channels and rate, forwards and backwards
    snake = torch.compile(lambda x, alpha: x + torch.sin(x * alpha[:, None]) ** 2 / (alpha[:, None] + 1e-9))
    for block in (*net.resblocks, *net.source_resblocks):
        for activation in (*block.activations1, *block.activations2):
            activation.forward = lambda x, alpha=activation.alpha: snake(x, alpha)


def exact(layer, device):
    """Leaves a layer in f32 where products are rounded to bf16."""
    forward = layer.forward
    layer.forward = torch.autocast(device.type, enabled=False)(lambda x: forward(x.float()))


class Losses(nn.Module):
    def __init__(self):
        super().__init__()
        for n, _ in RESOLUTIONS:
            self.register_buffer(f"window{n}", torch.hann_window(n), persistent=False)
        bank = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=48, fmin=100, fmax=7000)
        self.register_buffer("bank", torch.from_numpy(bank).float(), persistent=False)
        self.register_buffer("window600", torch.hann_window(600), persistent=False)

    def forward(self, made, real):
        """(multi-resolution STFT loss, log-mel loss over 25 ms)"""
        total = 0.0
        for n, hop in RESOLUTIONS:
            window = getattr(self, f"window{n}")
            a, b = (torch.stft(x, n, hop, n, window, return_complex=True).abs().clamp_min(1e-3) for x in (made, real))
            total = total + (a - b).norm(dim=(1, 2)).div(b.norm(dim=(1, 2)) + 1e-2).mean() + (a.log() - b.log()).abs().mean()
        a, b = ((self.bank @ torch.stft(x, 1024, 240, 600, self.window600, return_complex=True).abs()).clamp_min(1e-4).log()
                for x in (made, real))
        return total / len(RESOLUTIONS), (a - b).abs().mean()


class Discriminator(nn.Module):
    """A small 2-D network: on a magnitude spectrogram of `size` samples, or on the wave folded by a period of −`size`."""

    def __init__(self, size, width=16):
        super().__init__()
        self.size = size
        kernel, stride = ((3, 9), (1, 2)) if size > 0 else ((5, 1), (3, 1))
        pad = (kernel[0] // 2, kernel[1] // 2)
        wn = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            wn(nn.Conv2d(1 if i == 0 else width * min(i, 2), width * min(i + 1, 2), kernel, stride, pad)) for i in range(4))
        self.last = wn(nn.Conv2d(width * 2, 1, 3, padding=1))

    def forward(self, x):
        if self.size > 0:
            window = torch.hann_window(self.size, device=x.device)
            x = torch.stft(x, self.size, self.size // 4, self.size, window, return_complex=True).abs()
            x = x.clamp_min(1e-3).pow(.3).transpose(1, 2)[:, None]             # the power's slope has no bound at 0
        else:
            x = x[:, : x.shape[1] // -self.size * -self.size].reshape(len(x), 1, -1, -self.size)
        seen = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), .1)
            seen.append(x)
        return self.last(x).float(), seen


def main():
    parser = training.options(__doc__, lr=6e-4, batch=8, batch_help="segments")
    parser.add_argument("--frames", type=int, default=32, help="mel frames of a segment")
    parser.add_argument("--fine", type=float, default=1.0, help="weight of the mel loss over 25 ms, near to what a recogniser hears")
    parser.add_argument("--higher", type=float, default=.5, help="share of segments of the first voice, the higher and harder one")
    parser.add_argument("--compile", action="store_true", help="compile the activation (needs g++)")
    parser.add_argument("--gan", action="store_true", help="with discriminators")
    parser.add_argument("--predicted", action="store_true", help="three quarters of the segments from S3Gen's mels (train_s3gen.py --dump)")
    a = parser.parse_args()
    data = Features()
    run = training.Run("vocoder", a)
    net, device = run.net, run.device
    if os.path.exists(pitch := networks.checkpoint("pitch")):
        net.f0_predictor.load_state_dict(torch.load(pitch, map_location=device)["mean"])
    net.f0_predictor.requires_grad_(False).eval()
    mask = torch.zeros_like(net.m_source.l_linear.weight)
    mask[:, 0] = 1
    with torch.no_grad():
        net.m_source.l_linear.weight.mul_(mask)
    net.m_source.l_linear.weight.register_hook(lambda g: g * mask)
    losses = Losses().to(device)
    exact(net.conv_post, device)                       # log magnitudes and phases
    if a.compile:
        fused(net)
    trained = [p for n, p in net.named_parameters() if not n.startswith("f0_predictor")]
    optimizers = [torch.optim.AdamW(trained, lr=a.lr, betas=(.8, .99), weight_decay=0)]
    if a.gan:
        judges = nn.ModuleList(Discriminator(n) for n in (1024, 512, 256, -2, -3, -5, -7)).to(device)
        if "judges" in run.extra:
            judges.load_state_dict(run.extra["judges"])
        judging = torch.optim.AdamW(judges.parameters(), lr=4e-4, betas=(.8, .99))
    run.adopt(*optimizers)
    predicted = dumped() if a.predicted else {}
    pools = {}                                         # (first voice or not, S3Gen's mel or not) → utterances
    for i in range(len(data)):
        if data.lengths[i] * 2 > a.frames:
            for own in {False, not predicted or i in predicted}:
                pools.setdefault((data.voices[i] == 0, own), []).append(i)
    rng = np.random.default_rng()

    def batch():
        rows = []
        for n in range(a.batch):
            own = n % 4 > 0
            i = int(rng.choice(pools[rng.random() < a.higher, own]))
            first = int(rng.integers(data.lengths[i] * 2 - a.frames + 1))
            mel = given = data.mel(i, first, a.frames)
            if predicted and own:
                given = torch.from_numpy(predicted[i][first:first + a.frames]).float().T
            rows.append((given, mel, data.wave(i, first, a.frames)))
        return (torch.stack(x).to(device) for x in zip(*rows))

    while run.going():
        given, mel, wave = batch()
        with torch.no_grad():
            f0 = net.f0_predictor(given)
        excitation = source(net, f0, wave)
        with run.products():
            made = net.decode(x=given, s=excitation)
        inner, real = made[:, EDGE:-EDGE], wave[:, EDGE:-EDGE]
        stft, fine = losses(inner, real)
        coarse = (mel_spectrogram(made.clamp(-1, 1)) - mel).abs()[:, :, 2:-2].mean()
        loss, parts = stft + coarse + a.fine * fine, dict(stft=stft, mel=coarse, fine=fine)
        if a.gan:
            with run.products():
                verdicts = [(judge(real)[0], judge(inner.detach())[0]) for judge in judges]
            fooled = sum(((r - 1) ** 2).mean() + (m ** 2).mean() for r, m in verdicts)
            judging.zero_grad(set_to_none=True)
            fooled.backward()
            judging.step()
            judges.requires_grad_(False)
            adversarial = matching = 0.0
            for judge in judges:
                with run.products():
                    verdict, seen = judge(inner)
                    with torch.no_grad():
                        _, wanted = judge(real)
                adversarial = adversarial + ((verdict - 1) ** 2).mean()
                distances = ((p.float() - q.float()).abs().mean() / (q.float().abs().mean() + 1e-3) for p, q in zip(seen, wanted))
                matching = matching + sum(distances) / len(seen)
            judges.requires_grad_(True)
            loss = loss * 2 + .15 * adversarial + .3 * matching
            parts.update(adversarial=adversarial, matching=matching, judges=fooled)
            run.extra["judges"] = judges.state_dict()
        run.step(loss, parts, clip=[(trained, 5.0)])
    run.save()


if __name__ == "__main__":
    main()
