"""Small files written by torch.save in every shape in which the published models and their tools keep tensors.

    pip install torch==2.11.0
    python make_torch_files.py ../../crates/chatterbox/tests/fixtures/torch

Values follow from their position (`i / 4`), so that a test can know them without torch.
"""

import sys
from pathlib import Path

import torch
from torch import nn


def counted(*shape, dtype=torch.float32):
    return (torch.arange(torch.Size(shape).numel(), dtype=torch.float32) / 4).reshape(shape).to(dtype)


class Net(nn.Module):
    """One tensor of each kind: plain, halves, a view that is not contiguous, a slice of a longer storage, an integer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.layer.weight.data, self.layer.bias.data = counted(2, 3), counted(2)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("halves", counted(2, 2, dtype=torch.float16))
        self.register_buffer("brains", counted(3, dtype=torch.bfloat16))
        self.register_buffer("turned", counted(3, 2).T)
        self.register_buffer("part", counted(10)[4:7])


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    state = Net().state_dict()
    torch.save(state, out / "state_dict.pt")
    torch.save({"model": [state]}, out / "model_in_list.pt")
    torch.save({"model": state, "step": 250000}, out / "model_with_step.pt")
    torch.save(Net().layer, out / "whole_module.pt")

    # What `Conditionals.save` writes after the voice has spoken: ids as floats, the prompt embedded; a clip of an odd length.
    t3 = dict(
        speaker_emb=counted(1, 256),
        clap_emb=None,
        cond_prompt_speech_tokens=torch.tensor([[5, 6, 7]]),
        cond_prompt_speech_emb=counted(1, 3, 32),
        emotion_adv=torch.full((1, 1, 1), 0.75),
    )
    gen = dict(
        prompt_token=torch.tensor([[5.0, 6560.0, 0.0, 7.0]]),
        prompt_token_len=torch.tensor([4.0]),
        prompt_feat=counted(1, 80, 9).transpose(1, 2),
        prompt_feat_len=None,
        embedding=counted(1, 192),
    )
    torch.save(dict(t3=t3, gen=gen), out / "voice_after_synthesis.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
