#!/usr/bin/env python3
"""Word error rate of the embedded voice, as pocketsphinx hears it.

    pip install pocketsphinx==5.1.1 soundfile soxr numpy
    python scripts/wer.py [--bin target/release/declaim] [--voice rms --voice slt] [SENTENCES]

Says each sentence (default: crates/chatterbox/pico/eval_public.txt) with `declaim say` and prints word error rate,
real-time factor and what was misheard. The judging is that of the model card: same recogniser, same level, same noise.
"""
import argparse, os, re, subprocess, sys, tempfile
import soundfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/pico")
from recogniser import Recogniser, edits, words


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sentences", nargs="?", default=f"{HERE}/../crates/chatterbox/pico/eval_public.txt")
    options.add_argument("--bin", default=f"{HERE}/../target/release/declaim")
    options.add_argument("--voice", action="append")
    options.add_argument("-v", action="store_true", help="print what was misheard")
    a = options.parse_args()
    texts = [line.strip() for line in open(a.sentences) if line.strip()]
    recogniser = Recogniser()
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
            heard = recogniser.hear(wave, rate)
            reference = words(text)
            k = edits(reference, words(heard))
            wrong, total, seconds = wrong + k, total + len(reference), seconds + len(wave) / rate
            if a.v and k:
                print(f"  {k} | {text} | {heard}")
        print(f"{voice}: word error rate {100 * wrong / total:.1f} % ({wrong} of {total} words), not stopped {unstopped}, "
              f"{seconds:.1f} s of audio, mean real-time factor {factors / len(texts):.3f}")


main()
