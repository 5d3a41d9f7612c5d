#!/usr/bin/env python3
"""Word error rate of the embedded voice, as pocketsphinx hears it.

    pip install pocketsphinx==5.1.1 soundfile soxr numpy
    python scripts/wer.py [--bin target/release/declaim] [--voice rms --voice slt] [SENTENCES]

Says each sentence (default: crates/chatterbox/pico/eval_public.txt) with `declaim say` and prints word error rate,
real-time factor and what was misheard. The judging is that of the model card: same recogniser, same level, same noise.
"""
import argparse, os, re, subprocess, sys, tempfile
import numpy as np, soundfile, soxr
from pocketsphinx import Decoder

HERE = os.path.dirname(os.path.abspath(__file__))


def words(text):
    text = text.lower().replace("mister", "mr").replace("doctor", "dr").replace("-", " ")
    return re.sub(r"[^a-z' ]", " ", text).split()


def edits(a, b):
    d = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        p, d = d, np.empty_like(d)
        d[0] = i
        for j, y in enumerate(b, 1):
            d[j] = min(p[j] + 1, d[j - 1] + 1, p[j - 1] + (x != y))
    return int(d[-1])


def hear(decoder, wave, rate):
    wave = soxr.resample(wave.astype(np.float32), rate, 16000)
    wave = wave / max(1e-3, float(np.abs(wave).max())) * 0.6
    noise = np.random.default_rng(0).normal(0, 2e-4, len(wave) + 6400)
    wave = np.concatenate([np.zeros(3200), wave, np.zeros(3200)]) + noise
    decoder.start_utt()
    decoder.process_raw((wave * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    return decoder.hyp().hypstr if decoder.hyp() else ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sentences", nargs="?", default=f"{HERE}/../crates/chatterbox/pico/eval_public.txt")
    options.add_argument("--bin", default=f"{HERE}/../target/release/declaim")
    options.add_argument("--voice", action="append")
    options.add_argument("-v", action="store_true", help="print what was misheard")
    a = options.parse_args()
    texts = [line.strip() for line in open(a.sentences) if line.strip()]
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    for voice in a.voice or ["rms", "slt"]:
        wrong = total = unstopped = 0
        seconds = factors = 0.0
        for text in texts:
            with tempfile.TemporaryDirectory() as folder:
                out = f"{folder}/out.wav"
                run = subprocess.run([a.bin, "say", text, "--voice", voice, "-o", out], capture_output=True, text=True)
                if run.returncode:
                    sys.exit(f"{text!r}: {run.stderr}")
                unstopped += "did not stop" in run.stderr
                factors += float(re.search(r"real-time factor ([0-9.]+)", run.stdout + run.stderr).group(1))
                wave, rate = soundfile.read(out)
            heard = hear(decoder, wave, rate)
            reference = words(text)
            k = edits(reference, words(heard))
            wrong, total, seconds = wrong + k, total + len(reference), seconds + len(wave) / rate
            if a.v and k:
                print(f"  {k} | {text} | {heard}")
        print(f"{voice}: word error rate {100 * wrong / total:.1f} % ({wrong} of {total} words), not stopped {unstopped}, "
              f"{seconds:.1f} s of audio, mean real-time factor {factors / len(texts):.3f}")


main()
