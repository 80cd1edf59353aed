#!/usr/bin/env python3
"""Pairs each object with the files of a store that it should share its extents with.

dumpfile-objects.py OBJECTS DIFF DUMPFILE [DIFF DUMPFILE]…: prints, for tests/lib/fiemap, pairs of
names ended by NUL: a file below DIFF, its object below OBJECTS. Files of the same content follow each
other: it is enough that one of them is the object's source.
"""
import os
import re
import sys

NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


def unescape(text):
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)",
                  lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else NAMED[m[1]], text)


def main():
    objects, rest = sys.argv[1].encode(), sys.argv[2:]
    pairs = set()
    for diff, dump in zip(rest[::2], rest[1::2]):
        with open(dump, "rb") as f:
            for line in f.read().splitlines():
                field = line.split(b" ")
                if field[2].startswith(b"10") and re.fullmatch(rb"[0-9a-f]{2}/[0-9a-f]+", field[8]):
                    path = os.path.normpath(b"/" + unescape(field[0]).lstrip(b"/")).lstrip(b"/")
                    pairs.add((os.path.join(objects, field[8]), os.path.join(diff.encode(), path)))
    for target, source in sorted(pairs):
        sys.stdout.buffer.write(source + b"\0" + target + b"\0")


main()
