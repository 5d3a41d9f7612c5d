"""T3 on awkward prompts: single words, letters, lists, questions, repetitions, and prompts of 300 characters. Counts those that do
not stop and the phone errors against the teacher's phones.

    awkward.py [--weights FOLDER]
"""
import argparse
import numpy as np, torch
from common import HERE, SHIPPED, VOICES, phones_of
from evaluate import rate, teacher
from recogniser import edits
from speaking import Pico

WORDS = """hello yes no tuesday wonderful really banana okay stop seventeen photograph thursday umbrella goodbye why zebra rhythm
strength queue colonel island knife through thought yacht choir sixth squirrel world rural mirror january february wednesday vegetable
library comfortable temperature chocolate restaurant receipt schedule""".split()
NAMES = """Hannah Olivia Thompson Rebecca Chicago Edinburgh Mississippi Ahmed Priya Ingrid Carlos Yuki Beethoven Einstein Shakespeare
Leicester Worcester Massachusetts Connecticut Arkansas""".split()
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
        "letters": [", ".join(ALPHABET[i:i + n]) + "." for n in (1, 2, 3, 5) for i in range(0, 24, 4)],
        "lists": [", ".join(rng.choice(WORDS, n, replace=False)) + ", and " + str(rng.choice(WORDS)) + "." for n in (2, 3, 4, 6, 8) for _ in range(6)],
        "odd": ODD,
        "questions": [s for s in sentences if s.endswith("?")][:30],
        "300 characters": [" ".join(rng.choice(sentences, 8, replace=False))[:300].rsplit(" ", 1)[0] for _ in range(30)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights")
    parser.add_argument("-v", action="store_true", help="print what went wrong")
    a = parser.parse_args()
    torch.set_num_threads(1)
    pico = Pico(*([a.weights] if a.weights else []))
    count = unstopped = 0
    for kind, texts in prompts().items():
        endless, errors = 0, []
        for index, text in enumerate(texts):
            voice = VOICES[index % len(VOICES)]
            _, tokens, stopped = pico.tokens(text, voice)
            wanted = [s[0] for s in teacher([text], voice, "text")[0][1] if s[0] != "pau"]
            errors.append((edits(wanted, phones_of(tokens)), len(wanted)))
            endless += not stopped
            if a.v and (errors[-1][0] or not stopped):
                print(f"  {'' if stopped else 'endless '}{errors[-1][0]} | {text} | {' '.join(phones_of(tokens))[:150]}")
        print(f"{kind}: {len(texts)} prompts, {endless} did not stop, phone errors {100 * rate(errors):.1f} %", flush=True)
        count, unstopped = count + len(texts), unstopped + endless
    print(f"all: {unstopped} of {count} did not stop")


if __name__ == "__main__":
    main()
