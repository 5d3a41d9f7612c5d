"""Checkpoints to shipped files: the averaged weights as f16 safetensors under the reference's names. A part without a checkpoint
stays as it is shipped.

    export.py [OUT]                default: crates/chatterbox/pico
"""
import math, os, sys
import torch
from safetensors.torch import save_file
import networks
from common import LETTERS, SHIPPED

LOST = 0.5                                         # dB of loudness that a vocoder trained on log magnitudes lacks on dev.txt


def weights(part):
    path = networks.checkpoint(part)
    state = torch.load(path, map_location="cpu")["mean"] if os.path.exists(path) else networks.shipped(part)
    return {k: v for k, v in state.items() if not networks.unused(part, k)}


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else SHIPPED
    os.makedirs(out, exist_ok=True)
    half = lambda state: {k: v.half().contiguous() for k, v in state.items()}
    t3 = weights("t3")
    t3["text_emb.weight"][1] = t3["text_emb.weight"][LETTERS[" "]]          # unknown characters read as a space
    t3["text_emb.weight"][0] = 0
    t3["text_head.weight"].zero_()
    save_file(half(t3), f"{out}/t3.safetensors")
    both = {"flow." + k: v for k, v in weights("s3gen").items()}
    both |= {"mel2wav." + k: v for k, v in weights("vocoder").items()}
    if os.path.exists(networks.checkpoint("vocoder")):                      # its last layer's first half are log magnitudes
        bias = both["mel2wav.conv_post.bias"]
        bias[: len(bias) // 2] += math.log(10) / 20 * LOST
    if os.path.exists(networks.checkpoint("pitch")):
        both |= {"mel2wav.f0_predictor." + k: v for k, v in weights("pitch").items()}
    save_file(half(both), f"{out}/s3gen.safetensors")


if __name__ == "__main__":
    main()
