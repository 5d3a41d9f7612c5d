"""T3 on awkward prompts: single words, letters, lists, questions, repetitions, and prompts of 300 characters. Counts those that do
not stop, the phone errors against the teacher's phones, and whether pauses and the pitch at the end are the teacher's.

    awkward.py [--weights FOLDER]
"""
import argparse
import numpy as np, torch
from common import BASE, HERE, LEFT, PHONE_OF, SHIPPED, VOICES, VOWELS, phones_of, pitch_edges, tokens_of
from evaluate import rate, taught
from recogniser import edits
from speaking import Pico

WORDS = """hello yes no tuesday wonderful really banana okay stop seventeen photograph thursday umbrella goodbye why zebra rhythm
strength queue colonel island knife through thought yacht choir sixth squirrel world rural mirror january february wednesday vegetable
library comfortable temperature chocolate restaurant receipt schedule""".split()
NAMES = """Hannah Olivia Thompson Rebecca Chicago Edinburgh Mississippi Ahmed Priya Ingrid Carlos Yuki Beethoven Einstein Shakespeare
Leicester Worcester Massachusetts Connecticut Arkansas Siobhan Nguyen Zbigniew Xavier Guadalupe Aoife Johannesburg Reykjavik Wolfgang
Penelope Dwight Qatar Illinois Thames Greenwich""".split()
ODD = ["Wait, wait, wait!", "Yes, yes, yes, yes, yes.", "twenty twenty twenty twenty", "Hmm.", "Oh!", "Well... I don't know; maybe - just maybe - it's true.",
       '"Hello," she said, "how are you?"', "No, no, no, no, no, no, no.", "The the the.", "Ha ha ha ha ha!", "Ah, well, so, then, now.", "I, I, I am here.",
       "Go! Go! Go!", "one, two, three, four, five, six, seven, eight, nine, ten", "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday."]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def prompts():
    sentences = [l.strip() for f in (f"{SHIPPED}/eval_public.txt", f"{HERE}/heldout.txt", f"{HERE}/dev.txt") for l in open(f)]
    rng = np.random.default_rng(0)
    return {
        "words": [w.capitalize() + end for w, end in zip(WORDS, "?.! " * 20)],
        "names": [f"{n}." for n in NAMES],
        "letters": [", ".join(ALPHABET[i:i + n]) + "." for n in (1, 2, 3, 5, 8) for i in range(0, 24, 4)],
        "lists": [", ".join(rng.choice(WORDS, n, replace=False)) + ", and " + str(rng.choice(WORDS)) + "." for n in (2, 3, 4, 6, 8) for _ in range(6)],
        "odd": ODD,
        "questions": [s for s in sentences if s.endswith("?")][:30],
        "300 characters": [" ".join(rng.choice(sentences, 8, replace=False))[:300].rsplit(" ", 1)[0] for _ in range(30)],
    }


def pauses(tokens):
    """How often speech pauses within."""
    is_pause = np.array([PHONE_OF[t] == "pau" for t in tokens], int)
    return int((np.diff(is_pause) == 1).sum())


def final_pitch(tokens):
    """The pitch level of the last vowel."""
    return next(((t - BASE[PHONE_OF[t]]) // LEFT for t in reversed(tokens) if PHONE_OF[t] in VOWELS), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights")
    parser.add_argument("-v", action="store_true", help="print what went wrong")
    a = parser.parse_args()
    torch.set_num_threads(1)
    pico = Pico(*([a.weights] if a.weights else []))
    count = unstopped = 0
    for kind, texts in prompts().items():
        endless, errors, told = 0, [], []
        for index, text in enumerate(texts):
            voice = VOICES[index % len(VOICES)]
            _, tokens, stopped = pico.tokens(text, voice)
            segments = taught([text], voice, "text")[0][1]
            wanted = [s[0] for s in segments if s[0] != "pau"]
            right = tokens_of(segments, pitch_edges()[voice])[0]
            told.append([pauses(right), pauses(tokens), final_pitch(right), final_pitch(tokens)])
            errors.append((edits(wanted, phones_of(tokens)), len(wanted)))
            endless += not stopped
            if a.v and (errors[-1][0] or not stopped):
                print(f"  {'' if stopped else 'endless '}{errors[-1][0]} | {text} | {' '.join(phones_of(tokens))[:150]}")
        print(f"{kind}: {len(texts)} prompts, {endless} did not stop, phone errors {100 * rate(errors):.1f} %, "
              f"pauses {np.sum(told, 0)[1]} (teacher {np.sum(told, 0)[0]}), "
              f"pitch level of the last vowel {np.mean(told, 0)[3]:.2f} (teacher {np.mean(told, 0)[2]:.2f})", flush=True)
        count, unstopped = count + len(texts), unstopped + endless
    print(f"all: {unstopped} of {count} did not stop")


if __name__ == "__main__":
    main()
