"""Made-up prompts: everyday sentences with names, dates and numbers as words; and short ones, of words, names, letters and lists."""
import gzip, random, re, subprocess
from common import clean

ONES = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen""".split()
TENS = """twenty thirty forty fifty sixty seventy eighty ninety""".split()
ORDINALS = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth twentieth thirtieth
twenty-first twenty-second""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NAMES = """Hannah Olivia Sophia Emma Isabella Ava Mia Charlotte Amelia Harper Evelyn Abigail Emily Noah Liam Mason Ethan Logan
Lucas Oliver Aiden Elijah Ahmed Fatima Priya Chen Yuki Carlos Maria Ingrid Lars Thompson Wilson Johnson Williams Brown
Jones Miller Davis Garcia Anderson Taylor""".split()
PLACES = """London Paris Boston Chicago Berlin Tokyo Madrid Texas Ireland Scotland Canada Brazil India Dublin Denver Seattle""".split()
NOUNS = """dog cat house car book table window door garden kitchen office computer phone letter song picture story city village
river mountain road train bus ticket teacher doctor student child mother father brother sister friend neighbour engineer
answer question problem idea room coat hat shoe bottle cup bread cheese apple cake dinner lunch breakfast coffee tea
water milk money bank shop market school church station airport hotel island beach forest tree flower bird horse fish
weather storm morning evening week month year meeting message game team player""".split()
ADJECTIVES = """big small old new red green blue black white young long short heavy light warm cold quiet loud happy sad strange
beautiful difficult easy empty full broken clean dirty cheap expensive fast slow friendly early late important simple
different wonderful terrible lovely dark bright soft hard wet dry""".split()
VERBS = """see find buy sell open close bring take make break clean paint build move watch hear like love hate need want know
remember forget send read write carry hold drop fix use borrow lose win keep leave reach visit""".split()
PAST = """saw found bought sold opened closed brought took made broke cleaned painted built moved watched heard liked loved needed
wanted knew remembered forgot sent read wrote carried held dropped fixed used borrowed lost won kept left reached
visited""".split()
PRONOUNS = "I you we they he she it".split()
ADVERBS = "always never often usually really probably still already just almost".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# A field is % and one letter; `fields` below says what each is.
TEMPLATES = """
the %a %n is in the %n.
%S %p the %a %n, and then %S %p the %n.
did %S %v the %n?
can you %v the %a %n for me, please?
%N and %N %p the %n in %P.
where is the %a %n?
why did %N %v the %n?
who %p my %n?
when will %N come to %P?
how many %n and %n does %N have?
what is the %n of %N?
is this your %a %n?
are they %a or %a?
please %v the %n before %d.
the meeting is on %d, the %o of %m.
it is half past %h.
it is quarter to %h, so we should leave.
%N was born on the %o of %m, %#.
the train to %P leaves at %h thirty.
that will be %# dollars, please.
there are %# people in the %n.
%#, %#, and %#.
my number is %#, %#, %#.
the answer is %#.
about %# percent of the %n was %a.
good morning, %N.
hello, %N, how are you today?
thank you, %N.
mister %N, this is missus %N from %P.
doctor %N %A wanted to %v a %n.
%N, please %v the %n!
yes.
no, thank you.
%S don't know.
%S can't %v it.
%S won't %v the %n.
%S didn't %v that %n.
isn't it %a?
that's %a!
let's %v the %n.
%S couldn't %v %w.
it's a %a %n, isn't it?
we're going to %P on %d.
they've %A %p the %n.
i'm sorry, %N.
i'll %v the %n after %n.
%w.
%w, %w, and %w.
the word %w is not the same as %w.
%S said %w.
%w and %w.
%N said, "%w."
a %w %w %p the %w.
the %w of the %w is %a.
what does %w mean?
do you spell %w with %w?
%w %w.
her %w %w was very %w.
some %w were %w, but the %w was not.
%N %N
%N, %N, and %N.
stop!
wait.
okay.
really?
%N?
%n.
%a.
%L, %L, %L.
%L, %L, and %L.
%L.
%L, %L.
the letter %L.
it begins with %L.
%L, %L, %L, %L, %L.
is it %L or %L?
%w, %w, %w, %w, and %w.
%N, %N, %N, and %N.
%d, %d, and %d.
%n, %n, %n.
%w, %w, %w.
really, %N?
could %S %v the %n for %N?
""".strip().split("\n")


def number(rng):
    kind = rng.random()
    if kind < .3:
        return rng.choice(ONES)
    if kind < .6:
        return rng.choice(TENS) + (" " + rng.choice(ONES[:9]) if rng.random() < .7 else "")
    if kind < .8:
        return rng.choice(ONES[:9]) + " hundred" + (" and " + number(rng) if rng.random() < .5 else "")
    if kind < .9:
        return rng.choice(ONES) + " thousand" + (" " + rng.choice(ONES[:9]) + " hundred" if rng.random() < .4 else "")
    if kind < .95:
        return rng.choice(ONES) + " point " + " ".join(rng.choice(ONES[:9] + ["zero"]) for _ in range(rng.randint(1, 3)))
    return rng.choice(["nineteen", "twenty"]) + " " + rng.choice(TENS) + " " + rng.choice(ONES[:9])


def fields():
    """What stands for each letter of a template."""
    names = [n for n in gzip.open("/usr/share/dict/propernames.gz", "rt", errors="ignore").read().split() if n.isalpha() and n.isascii()]
    atlas = subprocess.run(["zcat", "/usr/share/misc/cities.dat.gz", "/usr/share/misc/countries.gz"], capture_output=True, check=True)
    places = re.findall(r"(?m)^([A-Z][a-z]+)\b", atlas.stdout.decode("utf8", "replace"))
    listed = lambda file: [w for w in open(f"/usr/share/dict/{file}", encoding="latin-1").read().split() if w.isascii() and w.isalpha()]
    words = [w for w in listed("american-english-large") if w.islower() and 3 <= len(w) <= 14]
    common = [w for size in (10, 20) for kind in ("english", "american") for w in listed(f"scowl/{kind}-words.{size}") if len(w) > 1]
    return dict(N=names + NAMES, P=places + PLACES, c=common, d=DAYS, m=MONTHS, o=ORDINALS, w=words, n=NOUNS, a=ADJECTIVES, v=VERBS,
                p=PAST, h=ONES[:12], S=PRONOUNS, A=ADVERBS, L=LETTERS)


def filled(templates, count, seed):
    rng, known = random.Random(seed), fields()
    for _ in range(count):
        text = re.sub(r"%(.)", lambda m: number(rng) if m[1] == "#" else rng.choice(known[m[1]]), rng.choice(templates))
        yield clean(text[0].upper() + text[1:])


def sentences(count):
    """`count` filled templates; the same ones every time."""
    return filled(TEMPLATES, count, 2)


def short(count):
    """`count` prompts of a few words, names or letters: many spellings and many stops for little training, and the places where
    sentences teach least. The same ones every time."""
    return filled([t for k in "ccccwwNNnPavpLL" for t in alone(k) + several(k, 8)] + [t for k in "dmo#" for t in alone(k) + several(k, 4)],
                  count, 3)


def alone(kind):
    return [f"%{kind}{end}" for end in ".?!"] * 2


def several(kind, most):
    rows = [[f"%{kind}"] * n for n in range(2, most + 1)]
    return [f"{', '.join(r)}." for r in rows] + [f"{', '.join(r)}, and %{kind}." for r in rows] + [" ".join(r) + "." for r in rows]
