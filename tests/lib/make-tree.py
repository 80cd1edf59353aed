#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the files of a dumpfile, as far as a real file system can hold them (needs root).

make-tree.py DUMP DIR   DIR must not exist. Sizes are cut to 20000 bytes; what is refused (xattrs
that are unknown here or too large, long targets) is left out.
"""
import os
import re
import stat
import sys


def unescape(text):
    names = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}
    return re.sub(rb"\\(x..|.)", lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x"
                  else names[m[1]], text.encode())


def make(path, fields):
    size, mode = int(fields[1]), int(fields[2], 8)
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFDIR:
        os.makedirs(path, exist_ok=True)
    elif kind == stat.S_IFLNK:
        os.symlink(unescape(fields[8]), path)
    elif kind == stat.S_IFREG:
        with open(path, "wb") as f:
            data = b"" if fields[9] == "-" else unescape(fields[9])
            f.write(data or fields[10].encode() * (min(size, 20000) // 64))
            f.truncate(min(size, 20000))
    else:
        os.mknod(path, mode, int(fields[6]))
    return mode, kind


def set_metadata(path, fields, mode, kind):
    ids = [min(int(i), 2**32 - 2) for i in fields[4:6]]
    os.chown(path, *ids, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        os.chmod(path, stat.S_IMODE(mode))
    for item in fields[11:]:
        key, value = item.split("=", 1)
        try:
            os.setxattr(path, unescape(key), unescape(value), follow_symlinks=False)
        except OSError:
            pass
    sec, nsec = fields[7].split(".")
    when = min(int(sec), 2**33) * 10**9 + int(nsec)
    return path, when


def main():
    top = sys.argv[2].encode()
    times = []
    with open(sys.argv[1]) as f:
        for line in f.read().splitlines():
            fields = line.split(" ")
            path = top + unescape(fields[0]).rstrip(b"/")
            try:
                if fields[2].startswith("@"):
                    os.link(top + unescape(fields[8]), path, follow_symlinks=False)
                    continue
                times.append(set_metadata(path, fields, *make(path, fields)))
            except OSError as e:
                if os.path.lexists(path) and not os.path.isdir(path):
                    os.unlink(path)
                print("left out: %s" % e, file=sys.stderr)
    for path, when in reversed(times):
        if os.path.lexists(path):
            os.utime(path, ns=(when, when), follow_symlinks=False)


main()
