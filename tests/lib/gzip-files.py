#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs of tests/fuzz/fuzz-gzip: gzip-files.py DIR N SEED writes N files of one or two gzip members with any of the
optional fields, padding and damage; the first byte is how many bytes are read at a time."""
import hashlib
import os
import random
import struct
import sys
import zlib


def member(data, flags=0, level=6, extra=b"AB\2\0xy", crc=None, method=8):
    h = b"\x1f\x8b" + bytes([method, flags]) + bytes(4) + b"\2\3"
    h += struct.pack("<H", len(extra)) + extra if flags & 4 else b""
    h += b"name\0" if flags & 8 else b""
    h += b"a comment\0" if flags & 16 else b""
    h += struct.pack("<H", zlib.crc32(h) & 0xffff if crc is None else crc) if flags & 2 else b""
    c = zlib.compressobj(level, zlib.DEFLATED, -15)
    return h + c.compress(data) + c.flush() + struct.pack("<II", zlib.crc32(data), len(data))


text = b"a layer, a layer, and another layer\n" * 20
noise = hashlib.shake_128(b"x").digest(3000)
seeds = [member(text, flags) for flags in range(32)] + [
    member(noise, level=0), member(b"hi"), member(b""), member(noise + noise), member(bytes(1 << 16)),
    member(text) + member(b"") + member(noise), member(text, 4, extra=b""), member(text, 4, extra=bytes(5000)),
    member(text, 2, crc=7), member(text, 31, crc=1), member(text, 0x20), member(text, 0x80), member(text, method=7),
    member(text) + bytes(700), member(text) + b"\0", member(text) + bytes(600) + b"x", member(text) + b"junk",
    member(text) + b"\x1f\x8b", member(text)[:40], member(text)[:-3], b"", bytes(20)]
directory, n, r = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
for i in range(n):
    b = bytearray(r.choice(seeds) + (r.choice(seeds) if r.random() < .3 else b""))
    for _ in range(r.randint(0, 3)):
        if b:
            at = r.randrange(len(b)) if r.random() < .5 else min(r.randrange(40), len(b) - 1)
            how = r.randrange(5)
            if how < 3:
                b[at] = r.choice([b[at] ^ 1 << r.randrange(8), r.randrange(256)])
            elif how == 3:
                del b[at:at + r.randint(1, 9)]
            else:
                b[at:at] = r.randbytes(r.randint(1, 4))
    with open(os.path.join(directory, "%05d" % i), "wb") as f:
        f.write(bytes([r.randrange(256)]) + b)
