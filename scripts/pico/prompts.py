"""Prompts for the teacher, from text packages of Debian and from templates; none of it is shipped.

    prompts.py OUT MOST HELD_OUT...          MOST sentences; none of those in the HELD_OUT files
"""
import glob, gzip, html, random, re, subprocess, sys
import templates
from common import clean

QUOTA = dict(bible=7000, faq=26000, glosses=20000, templates=30000)         # the other sources: all of it
PLAIN = re.compile(r"^[A-Za-z][A-Za-z ,.?!;'\"-]*$")


def shell(command):
    return subprocess.run(command, shell=True, capture_output=True).stdout.decode("utf8", "replace")


def usable(text, held):
    words = text.split()
    return (2 <= len(words) <= 25 and len(text) < 170 and PLAIN.match(text) and text.lower() not in held
            and not any(re.search(r"[A-Z].*[A-Z]", w) for w in words)              # acronyms, camel case
            and all(re.search(r"[A-Za-z]", w) for w in words)                      # no bare punctuation
            and not re.search(r"[a-z]\.[a-z]|\.\.|,,|'\w{3,}'", text) and max(map(len, words)) < 18)


def sources(held):
    """Name → sentences."""
    def sentences(text):
        text = html.unescape(re.sub(r"<[^>]+>", " ", text))
        for paragraph in re.split(r"\n\s*\n", text):
            for s in re.split(r"(?<=[.?!])\s+", " ".join(paragraph.split())):
                s = clean(s)
                if usable(s, held) and s[-1] in ".?!":
                    yield s

    def files(pattern):
        for path in sorted(glob.glob(pattern)):
            yield path, (gzip.open if path.endswith((".gz", ".dz")) else open)(path, "rt", errors="ignore").read()

    def cleaned(phrases):
        return (s for p in phrases for s in [clean(p)] if usable(s, held))

    yield "bible", (s for line in re.sub(r"(?m)^\S+\s", "", shell("bible -f gen1:1-rev22:21")).split("\n") for s in sentences(line))
    yield "fortunes", (s for path, text in files("/usr/share/games/fortunes/*") if "." not in path.split("/")[-1]
                       for quote in text.split("%\n") for s in sentences(re.sub(r"\n\s*-- .*", "", quote)))
    yield "faq", (s for _, text in files("/usr/share/doc/anarchism/html/*.html") for s in sentences(text))
    yield "handbook", (s for _, text in files("/usr/share/doc/debian-handbook/html/en-US/*.html") for s in sentences(text))
    yield "jargon", (s for _, text in files("/usr/share/dictd/jargon.dict.dz") for s in sentences(text))
    wordnet = " ".join(" ".join(text.split()) for _, text in files("/usr/share/dictd/wn.dict.dz"))
    yield "examples", cleaned(q[0].upper() + q[1:] for q in re.findall(r'; "([^"]{8,160})"', wordnet))
    yield "glosses", cleaned(re.findall(r"(?:^| )(?:n|v|adj|adv)? ?\d*: ([^;:\[\"]{10,140})(?=;| \[|$)", wordnet))
    yield "templates", (s for s in templates.sentences(60000) if len(s) < 170 and s.lower() not in held)
    yield "short", (s for s in templates.short(60000) if len(s) < 120 and s.lower() not in held)


def main():
    out, most, held = sys.argv[1], int(sys.argv[2]), {l.strip().lower() for path in sys.argv[3:] for l in open(path)}
    rng, lines = random.Random(1), []
    for name, found in sources(held):
        found = list(dict.fromkeys(found))
        rng.shuffle(found)
        print(name, len(found), flush=True)
        some = QUOTA.get(name, len(found))
        lines += found[:some] + [s for s in found[some:] if s.endswith("?")]       # the others ask too seldom
    rng.shuffle(lines)
    several = []                                   # prompts of some sentences, up to about 300 characters: a third of all that is read
    while len(several) < len(lines) // 7:
        joined = " ".join(rng.sample(lines, rng.randint(2, 6)))
        if 120 < len(joined) <= 320:
            several.append(joined)
    lines = list(dict.fromkeys(lines + several))
    rng.shuffle(lines)
    with open(out, "w") as f:
        f.write("".join(line + "\n" for line in lines[:most]))
    print("prompts", len(lines[:most]))


if __name__ == "__main__":
    main()
