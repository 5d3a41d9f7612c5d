"""The vocoder's F0 predictor by itself, on whole utterances: teacher's mels and, once dumped, S3Gen's.

    train_pitch.py MINUTES
"""
import numpy as np, torch, torch.nn.functional as F
import training
from features import Features
from train_s3gen import dumped

FLOOR = -11.5                                      # log mel of silence


def main():
    a = training.options(__doc__, lr=1e-3, batch=12, batch_help="utterances").parse_args()
    data, run = Features(), training.Run("pitch", a)
    run.adopt(torch.optim.AdamW(run.net.parameters(), lr=a.lr, betas=(.9, .99), weight_decay=0))
    predicted, rng = dumped(), np.random.default_rng()
    picked = sorted(predicted)
    while run.going():
        rows = []
        for n in range(a.batch):
            own = bool(picked) and n % 2
            i = int(rng.choice(picked)) if own else int(rng.integers(len(data)))
            rows.append((torch.from_numpy(predicted[i]).float().T if own else data.mel(i), data.f0(i)))
        frames = max(80, min(len(f0) for _, f0 in rows))
        mels, tracks = [], []
        for mel, f0 in rows:
            first = int(rng.integers(max(1, len(f0) - frames + 1)))
            count = min(frames, len(f0))
            mels.append(F.pad(mel[:, first:first + count], (0, frames - count), value=FLOOR))
            tracks.append(F.pad(f0[first:first + count], (0, frames - count)))
        mel, f0 = torch.stack(mels).to(run.device), torch.stack(tracks).to(run.device)
        loss = (run.net(mel + .03 * torch.randn_like(mel)) - f0).abs().mean() / 50
        run.step(loss, dict(f0=loss), clip=[(run.net.parameters(), 1.0)])
    run.save()


if __name__ == "__main__":
    main()
