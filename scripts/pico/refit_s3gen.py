"""S3Gen's last layer by least squares, which needs no steps: it takes over a new level or new data at once. Then the spread that
averaging over what the tokens leave open has cost is given back, smooth shapes of the spectrum only (`--spread` of its log).

    refit_s3gen.py [--utterances 100] [--spread 0.5]
"""
import argparse, os
import numpy as np, scipy.fft, torch
import networks
from common import VOICES
from features import Features
from train_s3gen import collate, generate

SHAPES = 20                                        # cepstral coefficients: above are harmonics, whose place the tokens leave open
QUIET = -9.0                                       # mean log mel of a frame that is not speech


@torch.no_grad()
def frames(net, data, picked, voices):
    """What the last layer is given [frames, width] and the teacher's mels [frames, 80]."""
    given, mels, seen = [], [], []
    hook = net.decoder.estimator.final_proj.register_forward_pre_hook(lambda _, x: seen.append(x[0][0].T))
    for i in picked:
        tokens, lengths, mel, voice = collate(data, [(i,)], voices)
        generate(net, tokens, lengths, voice)
        given.append(seen.pop())
        mels.append(mel[0].T)
    hook.remove()
    return torch.cat(given).double(), torch.cat(mels).double()


def solve(given, mels, ridge=1e-4):
    """(weight [80, width], bias [80])"""
    centre, level = given.mean(0), mels.mean(0)
    x = given - centre
    square = x.T @ x + ridge * len(x) * torch.diag((x ** 2).mean(0))
    weight = torch.linalg.solve(square, x.T @ (mels - level)).T
    return weight, level - weight @ centre


def spread(made, mels, share):
    """(matrix, offset): widens what is `made` about its mean so that its cepstra vary as the teacher's do."""
    loud = mels.mean(1) > QUIET
    made, mels = made[loud], mels[loud]
    basis = torch.from_numpy(scipy.fft.dct(np.eye(mels.shape[1]), norm="ortho", axis=0))
    ratio = ((mels @ basis.T).std(0) / (made @ basis.T).std(0)).clamp(1, 1.5) ** share
    ratio[SHAPES:] = ratio[SHAPES - 1]
    matrix = basis.T @ torch.diag(ratio) @ basis
    return matrix, made.mean(0) - matrix @ made.mean(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=100, help="of each voice")
    parser.add_argument("--spread", type=float, default=0.5)
    a = parser.parse_args()
    torch.set_num_threads(1)
    data, voices, path = Features(), networks.voice_vectors("embedding"), networks.checkpoint("s3gen")
    state = torch.load(path, map_location="cpu") if os.path.exists(path) else dict(
        mean=networks.shipped("s3gen"), net=networks.shipped("s3gen"), steps=0, extra={}, optimizers=[])
    net = networks.s3gen().eval()
    net.load_state_dict(state["mean"])
    picked = [i for v in range(len(VOICES)) for i in np.flatnonzero(data.voices == v)[:a.utterances]]
    given, mels = frames(net, data, picked, voices)
    last = net.decoder.estimator.final_proj
    before = given @ last.weight[..., 0].double().T + last.bias.double()
    weight, bias = solve(given, mels)
    after = given @ weight.T + bias
    matrix, offset = spread(after, mels, a.spread)
    weight, bias = matrix @ weight, matrix @ bias + offset
    print(f"mel L1 on these {len(mels)} frames: {(before - mels).abs().mean().item():.4f}, refitted {(after - mels).abs().mean().item():.4f}, "
          f"spread {(given @ weight.T + bias - mels).abs().mean().item():.4f}")
    for key in ("net", "mean"):
        state[key]["decoder.estimator.final_proj.weight"] = weight.float()[..., None]
        state[key]["decoder.estimator.final_proj.bias"] = bias.float()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(state, path)


if __name__ == "__main__":
    main()
