#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes images with layers that podman and cfsctl read in two ways, as OCI layouts.

    reading-layers.py DIR

DIR/index.json lists [{case, kind, reason}]. `kind` is what becomes of it: "podman" (cfsctl makes no
image: the tree is podman's), "two" (both make one, and not the same; `reason` is in the note),
"sparse" (as podman, but only where the layer comes from, for the store does not keep the map),
"cfsctl" (podman does not take it), "cut" (both make the same, which is not what the layer says).
"""
import importlib.util
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("odd_layers", os.path.join(HERE, "odd-layers.py"))
odd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(odd)
USR, END, reg, hard, dir_, link, pax, text = odd.USR, odd.END, odd.reg, odd.hard, odd.dir_, odd.link, odd.pax, odd.text
header, pad, number = odd.header, odd.pad, odd.number
GNU = b"ustar  \0"
RANGES = [(512, 512), (4096, 700), (9000, 30)]
DATA = text(1242, b"sparse")


def sized(name, kind, size, **kw):
    return header(name, size, kind, **kw)


def signed(name, data):
    """A checksum of signed bytes, as Sun's tar made it."""
    h = bytearray(header(name, len(data)))
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(c - 256 if c > 127 else c for c in h)
    return bytes(h) + pad(data)


def old_sparse(name):
    """GNU's form before pax: a map in the header, and one block of more of it."""
    part = [number(n, 12) for r in RANGES for n in r]
    raw = {386: b"".join(part[:4]), 482: b"\1", 483: number(10000, 12)}
    more = b"".join(part[4:]).ljust(512, b"\0")
    return header(name, len(DATA), b"S", magic=GNU, raw=raw) + more + pad(DATA)


def sparse_records(*more):
    return [("GNU.sparse.size", b"10000"), ("GNU.sparse.numblocks", b"%d" % len(RANGES)), *more]


def sparse_0_0(name):
    pairs = [(k, b"%d" % n) for r in RANGES for k, n in zip(("GNU.sparse.offset", "GNU.sparse.numbytes"), r)]
    return pax(sparse_records(*pairs)) + reg(name, DATA)


def sparse_0_1(name):
    numbers = b",".join(b"%d" % n for r in RANGES for n in r)
    return pax(sparse_records(("GNU.sparse.map", numbers), ("GNU.sparse.name", name))) + reg(b"GNUSparseFile.0/x", DATA)


def sparse_1_0(name):
    front = b"%d\n" % len(RANGES) + b"".join(b"%d\n" % n for r in RANGES for n in r)
    return pax([("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10000"),
                ("GNU.sparse.name", name)]) + reg(b"GNUSparseFile.0/x", pad(front) + DATA)


Z = reg(b"usr/z", text(3000, b"z"))
THREE = b"".join(reg(b"usr/f%d" % i, text(900, b"%d" % i)) for i in range(3))
CASES = {
    # A size in the header of what has no data.
    "dir-size-file": ([USR + sized(b"usr/d/", b"5", 512, mode=0o755) + reg(b"usr/d/in") + Z], "two", "usr/d/"),
    "dir-size-link": ([USR + sized(b"usr/d/", b"5", 512, mode=0o755) + reg(b"usr/d/s", b"", mode=0o4755)
                       + hard(b"usr/d/x", b"usr/d/s")], "podman", ""),
    "dir-size-large": ([USR + sized(b"usr/d/", b"5", 4096, mode=0o755) + reg(b"usr/d/in", text(6000))], "podman", ""),
    "dir-size-pax": ([USR + pax([("size", b"4096")]) + dir_(b"usr/d/") + reg(b"usr/d/in", text(6000))], "podman", ""),
    "symlink-size": ([USR + sized(b"usr/s", b"2", 512, link=b"z") + reg(b"usr/gone", text(10)) + Z], "podman", ""),
    "symlink-size-empty": ([USR + sized(b"usr/s", b"2", 512, link=b"z") + reg(b"usr/gone") + Z], "two", "usr/s"),
    "fifo-size": ([USR + sized(b"usr/p", b"6", 512) + reg(b"usr/gone") + Z], "two", "usr/p"),
    "device-size": ([USR + sized(b"usr/c", b"3", 512, dev=(1, 3)) + reg(b"usr/gone") + Z], "two", "usr/c"),
    "link-size": ([USR + Z + sized(b"usr/h", b"1", 3000, link=b"usr/z") + reg(b"usr/y")], "podman", ""),
    "link-with-data": ([USR + Z + sized(b"usr/h", b"1", 3000, link=b"usr/z") + pad(text(3000, b"z")) + reg(b"usr/y")],
                       "cfsctl", ""),
    # Names.
    "gnu-prefix": ([USR + dir_(b"usr/d/") + header(b"file", 100, magic=GNU, prefix=b"usr/d") + pad(text(100))],
                   "two", "usr/d/file"),
    "gnu-long-nul": ([USR + odd.gnu_long(b"L", b"usr/long\0junk") + reg(b"usr/x", text(300))], "podman", ""),
    "old-directory": ([USR + header(b"usr/old/", kind=b"\0", mode=0o755) + Z], "two", "usr/old/"),
    "old-directory-full": ([USR + header(b"usr/old/", kind=b"\0", mode=0o755) + reg(b"usr/old/x", text(100))],
                           "podman", ""),
    "below-symlink": ([USR + dir_(b"usr/t/") + link(b"usr/l", b"t") + reg(b"usr/l/x", text(300))
                       + hard(b"usr/h", b"usr/l/x")], "podman", ""),
    "below-symlinks": ([USR + dir_(b"usr/t/") + dir_(b"usr/t/u/") + link(b"usr/a", b"/usr/t") + link(b"usr/t/b", b"../a/u")
                        + reg(b"usr/a/b/x", text(300))], "podman", ""),
    # Headers.
    "empty-records": ([USR + pax([(k, b"") for k in ("path", "size", "mtime", "uid", "gid", "linkpath")])
                       + reg(b"usr/x", text(300))], "podman", ""),
    "two-pax": ([USR + pax([("path", b"usr/1")]) + pax([("path", b"usr/2")]) + reg(b"usr/x", text(300))], "podman", ""),
    "two-long": ([USR + odd.gnu_long(b"L", b"usr/1") + odd.gnu_long(b"L", b"usr/2") + reg(b"usr/x", text(300))],
                 "podman", ""),
    "lone-pax": ([USR + Z + pax([("path", b"usr/1")])], "podman", ""),
    "signed-checksum": ([USR + signed(b"usr/\xc3\xa4\xc3\xb6", text(300))], "podman", ""),
    "device-base-256": ([USR + header(b"usr/c", kind=b"3", dev=(1, 3), raw={329: odd.base256(1, 8), 337: odd.base256(3, 8)})],
                        "podman", ""),
    "negative-owner": ([USR + pax([("uid", b"-2"), ("gid", b"-1")]) + reg(b"usr/x", text(300))], "podman", ""),
    "owner-of-ones": ([USR + pax([("uid", b"4294967295")]) + reg(b"usr/x", text(300))], "two", "usr/x"),
    "large-owner": ([USR + pax([("uid", b"4294967299"), ("gid", b"4294967300")]) + reg(b"usr/x", text(300))], "cut", ""),
    "link-owner": ([USR + reg(b"usr/s", text(100), mode=0o4755) + hard(b"usr/h", b"usr/s", mode=0o644)], "two", "usr/h"),
    # Whiteouts.
    "aufs-whiteouts": ([USR + THREE + Z, USR + reg(b"usr/.wh.f0", mode=0o444) + hard(b"usr/.wh.f1", b"usr/.wh.f0", mode=0o444)
                        + hard(b"usr/.wh.f2", b"usr/.wh.f0", mode=0o444) + reg(b"usr/new", text(700))], "podman", ""),
    "opaque-after": ([USR + dir_(b"usr/o/") + reg(b"usr/o/a"), USR + dir_(b"usr/o/") + reg(b"usr/o/b", text(100))
                      + dir_(b"usr/o/d/") + reg(b"usr/o/d/e") + reg(b"usr/o/.wh..wh..opq") + reg(b"usr/o/c")],
                     "two", "usr/o/.wh..wh..opq"),
    "whiteout-before": ([USR + dir_(b"usr/a/") + reg(b"usr/a/old"), USR + reg(b"usr/.wh.a") + dir_(b"usr/a/")
                         + reg(b"usr/a/new")], "two", "usr/a"),
    # Sparse files. Podman does not take the old form.
    "sparse-0.0": ([USR + sparse_0_0(b"usr/sparse") + Z], "podman", ""),
    "sparse-0.1": ([USR + sparse_0_1(b"usr/sparse") + Z], "podman", ""),
    "sparse-1.0": ([USR + sparse_1_0(b"usr/sparse") + Z], "sparse", ""),
    "sparse-old": ([USR + old_sparse(b"usr/sparse") + Z], "old-sparse", ""),
}


def main():
    index = []
    for name, (layers, kind, reason) in CASES.items():
        odd.write_layout(os.path.join(sys.argv[1], name), [layer + END for layer in layers])
        index.append({"case": name, "kind": kind, "reason": reason})
    with open(os.path.join(sys.argv[1], "index.json"), "w") as f:
        json.dump(index, f, indent=1)


main()
