"""Word error rate by pocketsphinx with its own en-us model: normalisation, level and noise are those of scripts/wer.py."""
import re
import numpy as np, soxr
from pocketsphinx import Decoder


def words(text):
    text = text.lower().replace("mister", "mr").replace("doctor", "dr").replace("-", " ")
    return re.sub(r"[^a-z' ]", " ", text).split()


def edits(a, b):
    """Edit distance of two sequences."""
    d = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        p, d = d, np.empty_like(d)
        d[0] = i
        for j, y in enumerate(b, 1):
            d[j] = min(p[j] + 1, d[j - 1] + 1, p[j - 1] + (x != y))
    return int(d[-1])


class Recogniser:
    def __init__(self):
        self.decoder = Decoder(samprate=16000, loglevel="FATAL")

    def hear(self, wave, rate):
        wave = np.asarray(wave, np.float32)
        if rate != 16000:
            wave = soxr.resample(wave, rate, 16000)
        wave = wave / max(1e-3, float(np.abs(wave).max())) * .6
        noise = np.random.default_rng(0).normal(0, 2e-4, len(wave) + 6400)
        wave = np.concatenate([np.zeros(3200), wave, np.zeros(3200)]) + noise
        self.decoder.start_utt()
        self.decoder.process_raw((wave * 32767).astype(np.int16).tobytes(), full_utt=True)
        self.decoder.end_utt()
        hypothesis = self.decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    def wrong(self, text, wave, rate):
        """(words that are wrong, words there are)"""
        said = words(text)
        return edits(said, words(self.hear(wave, rate))), len(said)
