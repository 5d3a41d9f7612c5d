"""S3Gen: speech tokens and voice to mel. The target is almost a function of the inputs, and the network is too small to carry 80
channels of noise through: x0 is zero (`noise_scale` 0), and the mean velocity between any two times is what it learns.

    train_s3gen.py MINUTES [--compile]
    train_s3gen.py 0 --dump        writes the mels that the averaged weights make of every fourth utterance
"""
import os
import numpy as np, torch, torch.nn.functional as F
import networks, training
from common import DATA
from features import Features

PREDICTED = f"{DATA}/predicted.npz"


def collate(data, rows, voices):
    """Padded (tokens, their numbers, mels, voices' vectors); a row is one utterance or two that are said one after the other."""
    tokens = [torch.cat([data.tokens(i) for i in row]) for row in rows]
    mels = [torch.cat([data.mel(i) for i in row], 1) for row in rows]
    most = max(map(len, tokens))
    return (torch.stack([F.pad(t, (0, most - len(t))) for t in tokens]), torch.tensor([len(t) for t in tokens]),
            torch.stack([F.pad(m, (0, 2 * most - m.shape[1])) for m in mels]), voices[[int(data.voices[row[0]]) for row in rows]])


def fused(net):
    """Has the activation of the decoder compiled: torch's own takes a quarter of a step backwards on a CPU."""
    mish = torch.compile(lambda x: x * torch.tanh(F.softplus(x)), dynamic=True)
    for module in net.modules():
        if isinstance(module, torch.nn.Mish):
            module.forward = mish


def encode(net, tokens, lengths, voices):
    mask = (torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths[:, None]).float()
    h, _ = net.encoder(net.input_embedding(tokens) * mask[..., None], lengths)
    return net.encoder_proj(h).transpose(1, 2), net.spk_embed_affine_layer(F.normalize(voices, dim=1))


def frames_mask(lengths, frames):
    return (torch.arange(frames, device=lengths.device)[None] < 2 * lengths[:, None]).float()[:, None]


def generate(net, tokens, lengths, voices):
    """Mels in one step, as the server makes them."""
    mu, speaker = encode(net, tokens, lengths, voices)
    zero, one = torch.zeros(len(tokens), device=mu.device), torch.ones(len(tokens), device=mu.device)
    x = torch.zeros_like(mu)
    return net.decoder.estimator(x, mask=frames_mask(lengths, mu.shape[2]), mu=mu, t=zero, spks=speaker, cond=x, r=one)


def batches(data, frames, rng):
    """Rows of about equal length; a seventh of the time two utterances are joined, for long prompts."""
    usable = np.flatnonzero(np.arange(len(data)) % 100)
    while True:
        order = rng.permutation(usable)
        for at in range(0, len(order), 192):
            chunk = order[at:at + 192]
            rows = [(int(i),) for i in chunk]
            if rng.random() < .15:
                chunk = chunk[np.argsort(data.voices[chunk], kind="stable")]
                rows = [(int(i), int(j)) for i, j in zip(chunk[::2], chunk[1::2])
                        if data.voices[i] == data.voices[j] and data.lengths[i] + data.lengths[j] < 460]
            size = lambda row: sum(data.lengths[i] for i in row)
            rows.sort(key=size)
            packed, current = [], []
            for row in rows:
                if current and 2 * size(row) * (len(current) + 1) > frames:
                    packed.append(current)
                    current = []
                current.append(row)
            for k in rng.permutation(len(packed)):
                yield packed[k]


@torch.no_grad()
def validate(net, data, voices, device):
    """Mean absolute error of log mels on the hundredth utterances."""
    total = count = 0.0
    held = sorted(range(0, len(data), 100), key=lambda i: data.lengths[i])
    for at in range(0, len(held), 8):
        tokens, lengths, mel, speaker = (x.to(device) for x in collate(data, [(i,) for i in held[at:at + 8]], voices))
        mask = frames_mask(lengths, mel.shape[2])
        total += float(((generate(net, tokens, lengths, speaker) - mel).abs() * mask).sum())
        count += float(mask.sum()) * mel.shape[1]
    return total / count


def dumped():
    """Utterance → mel [frames, 80] that S3Gen made; empty where nothing was dumped."""
    if not os.path.exists(PREDICTED):
        return {}
    kept = np.load(PREDICTED)
    return dict(zip(kept["utterances"].tolist(), np.split(kept["mel"], np.cumsum(kept["frames"])[:-1])))


@torch.no_grad()
def dump(net, data, voices, device):
    picked = [i for i in range(len(data)) if i % 4 == 1]
    mels = []
    for i in picked:
        tokens, lengths, _, speaker = (x.to(device) for x in collate(data, [(i,)], voices))
        mels.append(generate(net, tokens, lengths, speaker)[0].T.half().cpu().numpy())
    np.savez(PREDICTED, utterances=picked, frames=[len(m) for m in mels], mel=np.concatenate(mels))


def main():
    parser = training.options(__doc__, lr=8e-4, batch=2600, batch_help="mel frames")
    parser.add_argument("--compile", action="store_true", help="compile the activation (needs g++)")
    parser.add_argument("--dump", action="store_true")
    a = parser.parse_args()
    data, run = Features(), training.Run("s3gen", a)
    net, device, voices = run.net, run.device, networks.voice_vectors("embedding")
    if a.dump:
        return dump(run.averaged(), data, voices, device)
    if a.compile:
        fused(net)
    run.adopt(torch.optim.AdamW(net.parameters(), lr=a.lr, betas=(.9, .98), weight_decay=1e-3))
    rng = np.random.default_rng()
    for rows in batches(data, a.batch, rng):
        if not run.going():
            break
        tokens, lengths, mel, speaker = (x.to(device) for x in collate(data, rows, voices))
        mask, size = frames_mask(lengths, mel.shape[2]), len(rows)
        late = (torch.rand(size, device=device) < .1).float()
        t = late * .5
        r = torch.where(torch.rand(size, device=device) < .15, t + .5, 1.0)
        at = t[:, None, None]
        x = at * (mel + .3 * torch.randn_like(mel)) * mask        # at t > 0 a slightly wrong mel, to be put right
        with run.products():
            mu, speaker = encode(net, tokens, lengths, speaker)
            v = net.decoder.estimator(x, mask=mask, mu=mu, t=t, spks=speaker, cond=torch.zeros_like(mu), r=r)
        mu, v = mu.float(), v.float()
        off, count = (v * (1 - at) - (mel - x)) * mask, mask.sum() * mel.shape[1]
        flow = (off.abs() + .2 * off.pow(2)).sum() / count
        encoder = ((mu - mel).abs() * mask).sum() / count
        run.step(flow + .2 * encoder, dict(flow=flow, encoder=encoder), clip=[(net.parameters(), 2.0)])
        if run.steps % 500 == 0:
            print(f"{run.steps} valid mel L1 {validate(run.averaged(), data, voices, device):.4f}", flush=True)
    run.save()
    print(f"valid mel L1 {validate(run.averaged(), data, voices, device):.4f}")


if __name__ == "__main__":
    main()
