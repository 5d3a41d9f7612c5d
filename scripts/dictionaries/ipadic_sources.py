"""Turns a compiled MeCab dictionary back into its sources, with nothing but the reading of each word that has kanji.

    python ipadic_sources.py <directory of sys.dic, unk.dic, matrix.bin, char.bin> <directory to write>
"""

import csv
import struct
import sys
from array import array
from pathlib import Path


def words(path):
    """Surface, left id, right id, cost and features of every word: a double array of keys over tables of tokens."""
    data = path.read_bytes()
    header = struct.unpack_from("<10I", data)
    key_bytes, token_bytes = header[6], header[7]
    charset = data[40:72].rstrip(b"\0").decode()
    keys = array("i", data[72 : 72 + key_bytes])
    tokens = data[72 + key_bytes : 72 + key_bytes + token_bytes]
    features = data[72 + key_bytes + token_bytes :]
    nodes = len(keys) // 2
    pending = [(keys[0], b"")]
    while pending:
        base, key = pending.pop()
        if base < nodes and keys[2 * base + 1] == base and keys[2 * base] < 0:
            value = -keys[2 * base] - 1
            for index in range(value & 0xFF):
                left, right, _, cost, at, _ = struct.unpack_from("<HHHhII", tokens, 16 * ((value >> 8) + index))
                yield key.decode(charset), left, right, cost, features[at : features.index(b"\0", at)].decode(charset)
        for byte in range(256):
            child = base + byte + 1
            if child < nodes and keys[2 * child + 1] == base and keys[2 * child] >= 0:
                pending.append((keys[2 * child], key + bytes([byte])))


def reading(surface, features):
    """Hiragana, for words with kanji."""
    if not any(0x4E00 <= ord(character) <= 0x9FFF for character in surface):
        return ""
    fields = next(csv.reader([features]))
    katakana = fields[7] if len(fields) > 7 else ""
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in katakana)


def write_words(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_matrix(source, path):
    data = source.read_bytes()
    left, right = struct.unpack_from("<HH", data)
    costs = array("h", data[4:])
    with open(path, "w") as file:
        file.write(f"{left} {right}\n")
        for r in range(right):
            file.writelines(f"{l} {r} {costs[l + left * r]}\n" for l in range(left))


def write_characters(source, path):
    """Which characters may start an unknown word of which kind: 18 bits of categories, 8 of the first one, then rules."""
    data = source.read_bytes()
    (count,) = struct.unpack_from("<I", data)
    names = [data[4 + 32 * i : 36 + 32 * i].rstrip(b"\0").decode() for i in range(count)]
    infos = array("I", data[4 + 32 * count :])
    rules = {names[info >> 18 & 0xFF]: (info >> 31 & 1, info >> 30 & 1, info >> 26 & 0xF) for info in infos}

    def categories(info):
        first = info >> 18 & 0xFF
        others = [i for i in range(count) if info >> i & 1 and i != first and names[i] in rules]
        return [names[first]] + [names[i] for i in others]

    with open(path, "w") as file:
        for name in names:
            if name in rules:
                file.write("{} {} {} {}\n".format(name, *rules[name]))
        start = 0
        for end in range(1, len(infos) + 1):
            if end == len(infos) or infos[end] != infos[start]:
                if categories(infos[start]) != ["DEFAULT"]:
                    file.write(f"0x{start:04X}..0x{end - 1:04X} {' '.join(categories(infos[start]))}\n")
                start = end


def main(source, out):
    entries = sorted(words(source / "sys.dic"))
    write_words(out / "lex.csv", ((s, l, r, cost, reading(s, features)) for s, l, r, cost, features in entries))
    write_words(out / "unk.def", ((s, l, r, cost, "") for s, l, r, cost, _ in words(source / "unk.dic")))
    write_matrix(source / "matrix.bin", out / "matrix.def")
    write_characters(source / "char.bin", out / "char.def")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
