"""The teacher at work: `teacher.c`, compiled as WORK/teacher, with the voice's pitch levels.

    teacher.py audio COUNT         WORK/data/text.txt → WORK/data/audio.<voice>.{txt,bin}, COUNT utterances of each voice
    teacher.py text                the same for T3: phones and pitch of every prompt, no audio → WORK/data/t3.<voice>.{txt,bin}
"""
import os, subprocess, sys
from common import DATA, HERE, VOICES, WORK, pitch_edges

STRETCH = 1.05                                     # phones are rounded to 40 ms, and never to nothing
LONGEST = 150                                      # characters of an utterance with audio
PROGRAM = f"{WORK}/teacher"


def build():
    """Compiles the program, again where it is older than its source: an earlier one would leave pitch as Flite has it, and say nothing."""
    source = f"{HERE}/teacher.c"
    if not os.path.exists(PROGRAM) or os.path.getmtime(PROGRAM) < os.path.getmtime(source):
        libraries = [f"-lflite{x}" for x in ("_cmu_us_slt", "_cmu_us_rms", "_usenglish", "_cmulex", "")]
        subprocess.run(["cc", "-O2", "-o", PROGRAM, source, *libraries, "-lm"], check=True)


def command(voice, mode):
    """Reads lines, writes the records that `common.read_records` reads; mode `audio` or `text`."""
    build()
    return [PROGRAM, voice, mode, str(STRETCH), *map(str, pitch_edges()[voice])]


def main():
    mode = sys.argv[1]
    lines = open(f"{DATA}/text.txt").read().splitlines()
    running = []
    for index, voice in enumerate(VOICES):         # every other line is one voice's
        out = f"{DATA}/{'audio' if mode == 'audio' else 't3'}.{voice}"
        if os.path.exists(f"{out}.bin"):
            continue
        mine = lines[index::len(VOICES)]
        if mode == "audio":
            mine = [line for line in mine if len(line) < LONGEST][:int(sys.argv[2])]
        with open(f"{out}.txt", "w") as f:
            f.write("".join(line + "\n" for line in mine))
        running.append((out, subprocess.Popen(command(voice, mode), stdin=open(f"{out}.txt"), stdout=open(f"{out}.part", "wb"))))
    for out, process in running:
        if process.wait():
            sys.exit(f"the teacher ended with {process.returncode}: {out}.part")
        os.replace(f"{out}.part", f"{out}.bin")


if __name__ == "__main__":
    main()
