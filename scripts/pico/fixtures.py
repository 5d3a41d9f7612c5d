"""The parity fixtures of the embedded voice: the shipped files' own runs through the reference's code.

    fixtures.py            writes crates/chatterbox/tests/fixtures/pico/*.safetensors
"""
import os
import torch
from safetensors.torch import save_file
from common import CONFIG, HERE, SILENCE, clean
from speaking import Pico

OUT = f"{HERE}/../../crates/chatterbox/tests/fixtures/pico"
TEXTS = [("Good morning!", "slt"), ("Where can I buy a ticket?", "rms"), ("Thank you, the old bridge is open.", "slt")]


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pico = Pico()
    for index, (text, voice) in enumerate(TEXTS):
        ids, tokens, stopped = pico.tokens(text, voice)
        full = tokens + [SILENCE] * CONFIG["s3gen"]["trailing_silence_tokens"]
        noise = CONFIG["s3gen"]["noise_scale"] * torch.randn(1, 80, 2 * len(full))
        mel = pico.mel(full, voice, noise)
        with torch.inference_mode():
            f0 = pico.vocoder.f0_predictor(mel)
            wave, source = pico.vocoder.inference(speech_feat=mel)
        kept = dict(text_ids=ids.int(), speech_tokens=torch.tensor(tokens).int(), speech_tokens_with_silence=torch.tensor(full).int(),
                    noise=noise, mel=mel.clone(), f0=f0.clone(), source=source.clone(), wave=wave.clone())
        save_file(kept, os.path.normpath(f"{OUT}/{index}.safetensors"),
                  metadata=dict(text=clean(text), voice=voice, stopped=str(stopped)))


if __name__ == "__main__":
    main()
