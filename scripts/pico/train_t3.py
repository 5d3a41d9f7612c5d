"""T3: [voice][characters][start][speech tokens] → the next speech token.

One attention head in three layers is nudged towards the characters being spoken. Guided heads would let their logits run away, so
the query and key weights of a head above PEAK are shrunk: without that, training diverges.

    train_t3.py MINUTES
"""
import math
import numpy as np, torch, torch.nn.functional as F
import networks, training
from common import CONFIG, DATA, PHONE_OF, START

C = CONFIG["t3"]
WIDTH, HEADS = C["n_embd"], C["n_head"]
GUIDED = {1: 0, 2: 1, 3: 1}                        # layer → 0: the current token's characters, 1: the next one's
PEAK = 20.0
VALIDATION = 150                                   # prompts


class Prompts:
    def __init__(self):
        z = np.load(f"{DATA}/t3.npz")
        self.text, self.speech, self.positions = (torch.from_numpy(z[k].astype(np.int64)) for k in ("text", "speech", "positions"))
        self.text_lengths, self.speech_lengths, self.voices = z["text_lengths"], z["speech_lengths"], z["voices"]
        self.text_start, self.speech_start = np.r_[0, np.cumsum(self.text_lengths)], np.r_[0, np.cumsum(self.speech_lengths)]
        self.lengths = self.text_lengths + self.speech_lengths

    def batch(self, rows, voices):
        """Padded (rows of the joint table [voices | characters | speech], next speech tokens or −1, spoken characters or −1)."""
        most = -(-max(1 + self.lengths[i] for i in rows) // 16) * 16       # few distinct shapes
        x = torch.zeros(len(rows), most, dtype=torch.long)
        y, at = torch.full((len(rows), most), -1), torch.full((len(rows), most), -1)
        speech_row = voices + C["text_vocab_size"]
        for b, i in enumerate(rows):
            text = self.text[self.text_start[i]:self.text_start[i + 1]]
            speech = self.speech[self.speech_start[i]:self.speech_start[i + 1]]
            n, k = len(text), len(speech)
            x[b, 0] = int(self.voices[i])
            x[b, 1:1 + n] = text + voices
            x[b, 1 + n] = speech_row + START
            x[b, 2 + n:1 + n + k] = speech[:-1] + speech_row
            y[b, 1 + n:1 + n + k] = speech
            at[b, 1 + n:1 + n + k] = self.positions[self.speech_start[i]:self.speech_start[i + 1]] + 1
        return x, y, at


def guide(q, k, at, late):
    """How far a head looks from the characters being spoken; good enough is good enough, which keeps its logits small."""
    wanted = at if late else torch.cat([at[:, :1], at[:, :-1]], 1)
    b, row = (wanted >= 0).nonzero(as_tuple=True)
    kept = torch.randperm(len(b), device=b.device)[: len(b) // 3]           # a third of the rows is enough
    b, row = b[kept], row[kept]
    scores = (q.float() @ k.float().transpose(1, 2) / math.sqrt(WIDTH // HEADS))[b, row]
    columns = torch.arange(at.shape[1], device=at.device)
    scores = scores.masked_fill(columns[None] > row[:, None], -1e4)
    away = (columns[None] - wanted[b, row][:, None]).abs() > 1
    return -(torch.logsumexp(scores.masked_fill(away, -1e4), 1) - torch.logsumexp(scores, 1)).clamp_max(-.1).mean()


def forward(net, speakers, x, at=None):
    """The reference's GPT-2, written out so that a guided head's weights can be read: (hidden, guide's loss, peak logits)."""
    size, length = x.shape
    table = torch.cat([net.cond_enc.spkr_enc(speakers), net.text_emb.weight, net.speech_emb.weight])
    causal = torch.full((length, length), -1e4, device=x.device).triu(1)
    h, guided, peaks = F.embedding(x, table) + net.tfmr.wpe.weight[:length], 0.0, []
    for i, block in enumerate(net.tfmr.h):
        qkv = torch.addmm(block.attn.c_attn.bias, block.ln_1(h).reshape(-1, WIDTH), block.attn.c_attn.weight)
        q, k, v = qkv.view(size, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if at is not None and i in GUIDED:
            guided = guided + guide(q[:, 0], k[:, 0], at, GUIDED[i])
        scores = q * (WIDTH // HEADS) ** -.5 @ k.transpose(-1, -2)
        peaks.append(scores.detach().amax((0, 2, 3)).float())
        seen = ((scores + causal).softmax(-1).to(v.dtype) @ v).transpose(1, 2).reshape(-1, WIDTH)
        h = h + torch.addmm(block.attn.c_proj.bias, seen, block.attn.c_proj.weight).view(size, length, WIDTH)
        u = torch.addmm(block.mlp.c_fc.bias, block.ln_2(h).reshape(-1, WIDTH), block.mlp.c_fc.weight)
        wide = F.gelu(u, approximate="tanh")
        h = h + torch.addmm(block.mlp.c_proj.bias, wide, block.mlp.c_proj.weight).view(size, length, WIDTH)
    return net.tfmr.ln_f(h), guided, peaks


@torch.no_grad()
def shrink(net, peaks):
    for block, peak in zip(net.tfmr.h, peaks):
        for head in (peak > PEAK).nonzero().flatten().tolist():
            by = float((PEAK / peak[head]) ** .5)
            for part in (0, WIDTH):                                         # queries, keys
                cut = slice(part + head * (WIDTH // HEADS), part + (head + 1) * (WIDTH // HEADS))
                block.attn.c_attn.weight[:, cut] *= by
                block.attn.c_attn.bias[cut] *= by


@torch.no_grad()
def validate(net, prompts, speakers, device):
    """Loss, share of right tokens, and share of right phones where a new one starts."""
    phone = torch.tensor([sorted(set(PHONE_OF)).index(p) for p in PHONE_OF] + [-1, -2], device=device)
    loss = count = right = onsets = right_onsets = 0.0
    for first in range(0, VALIDATION, 25):
        x, y, _ = (t.to(device) for t in prompts.batch(range(first, first + 25), len(speakers)))
        h, _, _ = forward(net, speakers, x)
        counted = y >= 0
        logits, wanted = net.speech_head(h[counted]).float(), y[counted]
        before = torch.cat([torch.full_like(y[:, :1], -1), y[:, :-1]], 1)[counted].clamp_min(0)
        new, said = phone[wanted] != phone[before], logits.argmax(1)
        loss += float(F.cross_entropy(logits, wanted, reduction="sum"))
        count += len(wanted)
        right += int((said == wanted).sum())
        onsets += int(new.sum())
        right_onsets += int((phone[said] == phone[wanted])[new].sum())
    return f"valid loss {loss / count:.4f}, tokens {right / count:.4f}, phones at onsets {right_onsets / onsets:.4f}"


def batches(prompts, tokens, rng):
    while True:
        order = VALIDATION + rng.permutation(len(prompts.lengths) - VALIDATION)
        for at in range(0, len(order), 1024):
            chunk = order[at:at + 1024]
            packed, current = [], []
            for i in chunk[np.argsort(prompts.lengths[chunk])]:
                if current and (prompts.lengths[i] + 16) // 16 * 16 * (len(current) + 1) > tokens:
                    packed.append(current)
                    current = []
                current.append(int(i))
            for k in rng.permutation(len(packed)):
                yield packed[k]


def main():
    parser = training.options(__doc__, lr=4e-4, batch=5000, batch_help="positions")
    parser.add_argument("--guide", type=float, default=.04, help="weight of the guided heads' loss")
    a = parser.parse_args()
    prompts, run = Prompts(), training.Run("t3", a)
    net, device = run.net, run.device
    speakers = networks.voice_vectors("speaker_emb").to(device)
    matrices = [p for p in net.tfmr.h.parameters() if p.ndim == 2]
    known = {id(p) for p in matrices}
    # The table of positions is sinusoidal and stays: every length behaves alike from the start.
    rest = [p for n, p in net.named_parameters() if id(p) not in known and not n.startswith(("text_head", "tfmr.wte", "tfmr.wpe"))]
    run.adopt(
        torch.optim.Muon(matrices, lr=a.lr, weight_decay=.01, momentum=.95, nesterov=True, ns_steps=5, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([dict(params=rest, scale=.5)], lr=a.lr, betas=(.9, .98), weight_decay=0.0))
    for rows in batches(prompts, a.batch, np.random.default_rng()):
        if not run.going():
            break
        x, y, at = (t.to(device) for t in prompts.batch(rows, len(speakers)))
        with run.products():
            h, guided, peaks = forward(net, speakers, x, at)
            logits = net.speech_head(h[y >= 0])
        entropy = F.cross_entropy(logits.float(), y[y >= 0])
        run.step(entropy + a.guide * guided, dict(entropy=entropy, guide=guided), clip=[(rest, 1.0)])
        shrink(net, peaks)
        if run.steps % 200 == 0:
            print(run.steps, validate(run.averaged(), prompts, speakers, device), flush=True)
    run.save()
    print(validate(run.averaged(), prompts, speakers, device))


if __name__ == "__main__":
    main()
