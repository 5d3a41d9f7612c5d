"""How well exported files are understood, and where errors come from.

    evaluate.py [--weights FOLDER] [--stages vocoder,s3gen,all] [--out metrics.json] SENTENCES...

The stages: teacher's mels through the vocoder; teacher's tokens through S3Gen and the vocoder; all of it from text. The teacher is
Flite with phones and pitch rounded as the speech tokens round them (teacher.c).
"""
import argparse, json, os, subprocess, time
import numpy as np, pyloudnorm, torch
import teacher
from common import LOUDNESS, RATE, VOICES, WORK, clean, phones_of, pitch_edges, read_records
from features import features
from recogniser import Recogniser, edits
from speaking import Pico


def taught(texts, voice, mode):
    """The teacher's records of some texts: mode `audio`, or `text` for phones only."""
    os.makedirs(f"{WORK}/evaluation", exist_ok=True)
    at = f"{WORK}/evaluation/{voice}.{os.getpid()}"
    with open(f"{at}.txt", "w") as f:
        f.write("".join(clean(t) + "\n" for t in texts))
    with open(f"{at}.txt") as lines, open(f"{at}.bin", "wb") as out:
        subprocess.run(teacher.command(voice, mode), stdin=lines, stdout=out, check=True)
    records = list(read_records(f"{at}.bin", mode == "audio"))
    os.remove(f"{at}.txt")
    os.remove(f"{at}.bin")
    return records


def factor(records):
    """Brings the teacher's takes to LOUDNESS."""
    level = pyloudnorm.Meter(16000).integrated_loudness(np.concatenate([r[3] for r in records]) / 32768)
    return float(10 ** ((LOUDNESS - level) / 20))


def rate(counts):
    wrong, words = np.sum(counts, 0)
    return float(wrong / words)


def measure(pico, judge, texts, voice, stages):
    records = taught(texts, voice, "audio")
    gain, edges = factor(records), pitch_edges()[voice]
    heard = {k: [] for k in ("teacher", *stages)}
    takes, phones, off, elements, unstopped, spent = [], [], 0.0, 0, 0, 0.0
    for text, (_, segs, track, wave) in zip(texts, records):
        heard["teacher"].append(judge.wrong(text, wave / 32768, 16000))
        ids, _, mel, _ = features(segs, track, wave, edges, gain)
        mel = torch.from_numpy(mel).T[None]
        if "vocoder" in stages:
            heard["vocoder"].append(judge.wrong(text, pico.wave(mel).numpy(), RATE))
        if "s3gen" in stages:
            made = pico.mel(list(ids), voice)
            off, elements = off + float((made - mel).abs().sum()), elements + mel.numel()
            heard["s3gen"].append(judge.wrong(text, pico.wave(made).numpy(), RATE))
        if "all" in stages:
            began = time.perf_counter()
            tokens, y, stopped = pico.say(text, voice)
            spent += time.perf_counter() - began
            unstopped += not stopped
            takes.append(y.numpy())
            heard["all"].append(judge.wrong(text, takes[-1], RATE))
            wanted = [s[0] for s in segs if s[0] != "pau"]
            phones.append((edits(wanted, phones_of(tokens)), len(wanted)))
    result = {f"wer_{k}": rate(v) for k, v in heard.items()} | dict(sentences=len(texts), words=int(np.sum(heard["teacher"], 0)[1]))
    if elements:
        result["mel_l1"] = off / elements
    if takes:
        seconds = sum(map(len, takes)) / RATE
        loudness = pyloudnorm.Meter(RATE).integrated_loudness(np.concatenate(takes))
        result |= dict(phone_error=rate(phones), not_stopped=unstopped, loudness=loudness, real_time_factor=spent / seconds)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="+")
    parser.add_argument("--weights", help="folder of exported files; default: the shipped ones")
    parser.add_argument("--stages", default="vocoder,s3gen,all")
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pico, judge, results = Pico(*([a.weights] if a.weights else [])), Recogniser(), {}
    for path in a.sentences:
        texts = [line.strip() for line in open(path) if line.strip()]
        for voice in VOICES:
            name = f"{os.path.splitext(os.path.basename(path))[0]}:{voice}"
            results[name] = measure(pico, judge, texts, voice, a.stages.split(","))
            print(name, " ".join(f"{k} {v:.4g}" for k, v in results[name].items()), flush=True)
    if a.out:
        with open(a.out, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
