"""What every stage shares: folders, the inventory of speech tokens, the teacher's records, letters and voices."""
import json, os, re, struct
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SHIPPED = os.path.normpath(f"{HERE}/../../crates/chatterbox/pico")     # config.json, tokenizer.json and voices/ are inputs
CONFIG = json.load(open(f"{SHIPPED}/config.json"))
WORK = os.environ.get("PICO_WORK", "pico-work")                        # everything that is not shipped
DATA, CHECKPOINTS = f"{WORK}/data", f"{WORK}/checkpoints"
VOICES = tuple(CONFIG["voices"])
LOUDNESS = -23.0                                                       # LUFS of every voice
RATE, HOP, TOKEN = 24000, 480, 960                                     # samples per second, mel frame and speech token

# A speech token is a phone, how many tokens of it are left (1..LEFT) and, where it has a voice, a pitch level.
_inventory = CONFIG["speech_tokens"]
PLAIN, PITCHED = _inventory["plain"], _inventory["pitched"]
LEFT, LEVELS, PAUSES = _inventory["frames_left"], _inventory["pitch_levels"], _inventory["pauses"]
VOWELS = set(PITCHED[:PITCHED.index("l")])
SILENCE = CONFIG["s3gen"]["silence_token"]
START, STOP = CONFIG["t3"]["start_speech_token"], CONFIG["t3"]["stop_speech_token"]
BASE, PHONE_OF = {}, ["sil"] + ["pau"] * PAUSES
for phone in PLAIN + PITCHED:
    BASE[phone] = len(PHONE_OF)
    PHONE_OF += [phone] * (LEFT if phone in PLAIN else LEFT * LEVELS)
assert len(PHONE_OF) == CONFIG["s3gen"]["vocab_size"] == START


def countdown(base, n, cap):
    return [base + min(left, cap) - 1 for left in range(n, 0, -1)]


def read_records(path, audio):
    """Yields (line, [(phone, tokens, F0 in Hz, word)], F0 every 5 ms, int16 wave at 16 kHz) of what `teacher` wrote; ends at a
    half-written record."""
    b = np.memmap(path, np.uint8, "r")
    at = 0
    try:
        while at < len(b):
            line, segments, samples = struct.unpack_from("<iii", b, at)
            at += 12
            segs = []
            for _ in range(segments):
                name, tokens, f0, word = struct.unpack_from("<4sifi", b, at)
                at += 16
                segs.append((name.rstrip(b"\0").decode(), tokens, f0, word))
            track = wave = None
            if audio:
                frames, = struct.unpack_from("<i", b, at)
                at += 4
                track = np.frombuffer(b, "<f4", frames, at)
                at += 4 * frames
                wave = np.frombuffer(b, "<i2", samples, at)
                at += 2 * samples
            yield line, segs, track, wave
    except (struct.error, ValueError):
        return


def pitch_edges():
    """Log F0 at the edges of the pitch levels, per voice: part of the tokens' meaning, so fixed with the shipped weights."""
    return _inventory["pitch_edges"]


def tokens_of(segs, edges, tail=None):
    """Token ids and for each the 1-based index of its word (0 in silence); `tail` replaces the last silence's length."""
    n = len(segs)
    pitch = [np.log(f) if p in VOWELS and 50 < f < 400 else None for p, _, f, _ in segs]    # flite can yield a stray infinity
    ids, words = [], []
    for i, (phone, tokens, _, word) in enumerate(segs):
        if phone == "pau":
            if i in (0, n - 1):
                run = [SILENCE] * (tail if tail is not None and i else tokens)
            else:
                run = countdown(1, tokens, PAUSES)
        elif phone in PLAIN:
            run = countdown(BASE[phone], tokens, LEFT)
        else:
            level = pitch[i]
            if level is None:                                   # a sonorant takes its neighbour vowels' pitch
                near = []
                for step in (-1, 1):
                    j = i + step
                    while 0 <= j < n and segs[j][0] != "pau" and pitch[j] is None:
                        j += step
                    if 0 <= j < n and segs[j][0] != "pau":
                        near.append(pitch[j])
                level = sum(near) / len(near) if near else edges[1]
            run = countdown(BASE[phone] + LEFT * int(np.searchsorted(edges, level)), tokens, LEFT)
        ids += run
        words += [word] * len(run)
    return ids, words


def phones_of(tokens):
    """The phones that a run of tokens says, pauses left out."""
    said = []
    for token in tokens:
        phone = PHONE_OF[token]
        if phone in BASE and (token - BASE[phone]) % LEFT == 0:
            said.append(phone)
    return said


# T3 reads one token per character, case-folded: 0 pads, 1 is unknown.
CHARACTERS = " abcdefghijklmnopqrstuvwxyz'\",.?!;-"
LETTERS = {c: i + 2 for i, c in enumerate(CHARACTERS)}


def text_ids(text):
    return [LETTERS.get(c, 1) for c in text.lower()]


def clean(text):
    """What the server's own clean-up of punctuation does to a prompt."""
    for a, b in (("…", ", "), (":", ","), (" -- ", ", "), ("--", ", "), ("—", "-"), ("–", "-"), ("“", '"'), ("”", '"'),
                 ("‘", "'"), ("’", "'"), ("`", "'"), ("''", '"')):
        text = text.replace(a, b)
    text = re.sub(r"\([^)]*\)|\[[^]]*\]|[{}<>*_|]", " ", text)
    text = " ".join(text.split()).replace(" ,", ",").replace(" .", ".")
    return text if not text or text[-1] in ".?!,-" else text + "."
