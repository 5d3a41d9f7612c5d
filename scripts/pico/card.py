"""Puts the figures of evaluate.py between the markers of MODEL_CARD.md.

    card.py METRICS
"""
import json, sys
from common import SHIPPED

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
TITLES = {"eval_public": "public", "heldout": "held out"}


def percent(x):
    return f"{100 * x:.1f} %"


def table(results):
    rows = ["| sentences | voice | WER teacher | vocoder alone | S3Gen and vocoder | all of pico | phone errors (T3) | mel L1 | not stopped | LUFS |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    for name, r in results.items():
        file, voice = name.split(":")
        wers = " | ".join(percent(r[f"wer_{k}"]) for k in ("teacher", "vocoder", "s3gen", "all"))
        rows.append(f"| {TITLES.get(file, file)} ({r['sentences']}) | {voice} | {wers} | {percent(r['phone_error'])} | {r['mel_l1']:.3f} "
                    f"| {r['not_stopped']} | {r['loudness']:.1f} |")
    words = sum(r["words"] for r in results.values())
    mean = lambda key: sum(r[key] * r["words"] for r in results.values()) / words
    wers = " | ".join(percent(mean(f"wer_{k}")) for k in ("teacher", "vocoder", "s3gen", "all"))
    rows.append(f"| all, {words} words | both | {wers} | {percent(mean('phone_error'))} | {mean('mel_l1'):.3f} "
                f"| {sum(r['not_stopped'] for r in results.values())} | |")
    return "\n".join(rows) + "\n"


def main():
    path = f"{SHIPPED}/MODEL_CARD.md"
    card = open(path).read()
    before, rest = card.split(BEGIN)
    after = rest.split(END)[1]
    with open(sys.argv[1]) as f:
        figures = table(json.load(f))
    with open(path, "w") as f:
        f.write(before + BEGIN + figures + END + after)


if __name__ == "__main__":
    main()
