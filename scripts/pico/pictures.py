"""Spectrograms, teacher beside pico, for the eye.

    pictures.py OUT.png [TEXT]
"""
import sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import soxr, torch
from common import RATE, SHIPPED, VOICES, pitch_edges, tokens_of
from evaluate import factor, taught
from speaking import Pico


def decibels(wave):
    window = torch.hann_window(600)
    spectrum = torch.stft(torch.as_tensor(wave).float(), 1024, 120, 600, window, return_complex=True).abs()
    return 20 * torch.log10(spectrum.clamp_min(1e-4)).numpy()


def main():
    text = sys.argv[2] if len(sys.argv) > 2 else open(f"{SHIPPED}/eval_public.txt").readline().strip()
    pico = Pico()
    figure, axes = plt.subplots(3, len(VOICES), figsize=(13, 8), sharex=True, sharey=True, layout="constrained")
    for column, voice in enumerate(VOICES):
        record = taught([text], voice, "audio")[0]
        ids, _ = tokens_of(record[1], pitch_edges()[voice])
        waves = {"teacher": soxr.resample(record[3] / 32768 * factor([record]), 16000, RATE),
                 "S3Gen and vocoder, of the teacher's tokens": pico.wave(pico.mel(ids, voice)),
                 "all of pico": pico.say(text, voice)[1]}
        for axis, (name, wave) in zip(axes[:, column], waves.items()):
            axis.imshow(decibels(wave), origin="lower", aspect="auto", cmap="magma", vmin=-50, vmax=30,
                        extent=(0, len(wave) / RATE, 0, RATE / 2000))
            axis.set(title=f"{voice}: {name}", ylim=(0, 8), ylabel="kHz")
    axes[-1, 0].set(xlabel=f"seconds of “{text}”")
    figure.savefig(sys.argv[1], dpi=80)


if __name__ == "__main__":
    main()
