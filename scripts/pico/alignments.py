"""Prompts and the teacher's phones to what T3 reads: characters, speech tokens, and for each token the character that it speaks.

The letters and phones of a word are aligned by a few rounds of hard EM; the alignment only guides attention in training.

    alignments.py          reads WORK/data/t3.<voice>.{txt,bin}, writes WORK/data/t3.npz
"""
import os
import numpy as np
from common import BASE, CONFIG, DATA, STOP, VOICES, pitch_edges, read_records, text_ids, tokens_of

ALPHABET = "abcdefghijklmnopqrstuvwxyz'-"
PHONES = {p: i for i, p in enumerate(sorted(BASE))}
OTHER = len(ALPHABET)                              # any other character
TAIL = 2                                           # tokens of silence at the end


def columns(word):
    return np.array([ALPHABET.find(c) if c in ALPHABET else OTHER for c in word])


def align(word, phones, log_p):
    """Index of a letter for every phone: monotonic; letters may be skipped, and sharing one costs a little."""
    c = columns(word)
    n = len(c)
    line = (np.arange(n) + .5) / n
    score, back = None, []
    for j, phone in enumerate(phones):
        fits = log_p[PHONES[phone], c] - 3 * np.abs(line - (j + .5) / len(phones))
        if score is None:
            score = fits
            continue
        best = np.maximum.accumulate(score)
        at = np.maximum.accumulate(np.where(score >= best, np.arange(n), 0))
        before, before_at = np.full(n, -1e9), np.zeros(n, int)
        before[1:], before_at[1:] = best[:-1], at[:-1]
        stay = score - 1.5
        back.append(np.where(stay > before, np.arange(n), before_at))
        score = np.maximum(stay, before) + fits
    i = int(score.argmax())
    path = [i]
    for steps in reversed(back):
        i = int(steps[i])
        path.append(i)
    return path[::-1]


def spoken(voice):
    """(text, its words, segments) of every line whose words the teacher took as they are written."""
    lines = open(f"{DATA}/t3.{voice}.txt").read().split("\n")
    for line, segs, _, _ in read_records(f"{DATA}/t3.{voice}.bin", False):
        words = lines[line].split(" ")
        if segs and segs[-1][0] == "pau" and max(s[3] for s in segs) == len(words):
            yield lines[line], words, segs


def letters_of_phones():
    """Log probability of a letter given a phone, from some thousand distinct words."""
    pairs = {}
    for voice in VOICES:
        for k, (_, words, segs) in enumerate(spoken(voice)):
            if k > 6000:
                break
            for w in {s[3] for s in segs} - {0}:
                pairs[words[w - 1].lower(), tuple(s[0] for s in segs if s[3] == w and s[0] in PHONES)] = None
    pairs = [p for p in pairs if p[1]][:9000]
    log_p = np.zeros((len(PHONES), OTHER + 1))
    for _ in range(3):
        counts = np.full_like(log_p, .1)
        for word, phones in pairs:
            c = columns(word)
            for phone, i in zip(phones, align(word, phones, log_p)):
                counts[PHONES[phone], c[i]] += 1
        log_p = np.log(counts / counts.sum(1, keepdims=True))
        log_p[:, OTHER] = -6
    return log_p


def positions(text, words, segs, align_word):
    """For every speech token the index of the character that it speaks."""
    offsets = np.cumsum([0] + [len(w) + 1 for w in words])
    by_word = {}
    for s in segs:
        by_word.setdefault(s[3], []).append(s[0])
    letters = {w: iter(align_word(words[w - 1].lower(), tuple(p for p in phones if p in PHONES)))
               for w, phones in by_word.items() if w}
    found, last = [], 0
    for i, (phone, tokens, _, word) in enumerate(segs):
        if phone == "pau":
            at = offsets[last] - 1 if i and last else 0
        else:
            at = offsets[word - 1] + next(letters[word]) if word in letters else 0
            last = word
        found += [min(at, len(text) - 1)] * (TAIL if i == len(segs) - 1 else tokens)
    return found + [len(text) - 1]


def main():
    log_p, cache, rows = letters_of_phones(), {}, []

    def align_word(*key):
        if key not in cache:
            cache[key] = align(*key, log_p) if key[1] else []
        return cache[key]

    for index, voice in enumerate(VOICES):
        for text, words, segs in spoken(voice):
            ids = tokens_of(segs, pitch_edges()[voice], tail=TAIL)[0] + [STOP]
            if 2 + len(text) + len(ids) > CONFIG["t3"]["n_positions"]:
                continue
            at = positions(text, words, segs, align_word)
            assert len(at) == len(ids)
            rows.append((np.array(text_ids(text), np.uint8), np.array(ids, np.int16), np.array(at, np.int16), index))
    order = np.random.default_rng(0).permutation(len(rows))
    texts, speech, at, voices = zip(*(rows[i] for i in order))
    out = f"{DATA}/t3.npz"
    np.savez(out + ".tmp.npz", text=np.concatenate(texts), speech=np.concatenate(speech), positions=np.concatenate(at),
             text_lengths=[*map(len, texts)], speech_lengths=[*map(len, speech)], voices=voices)
    os.replace(out + ".tmp.npz", out)
    print(f"{len(rows)} prompts, {sum(map(len, texts))} characters, {sum(map(len, speech))} tokens")


if __name__ == "__main__":
    main()
