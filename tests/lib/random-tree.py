#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes seeded random trees as dumpfiles (composefs-dump(5)).

random-tree.py DIR FIRST COUNT [--sha512] [--sane]   DIR/N.dump for N = FIRST ... FIRST + COUNT - 1
--sane: no file of more than 2^43 bytes (format 2 gives such files one chunk, and fsck.erofs minds)
"""
import hashlib
import random
import sys

PREFIXES = [b"user.", b"trusted.", b"security.", b"lustre.", b"system.posix_acl_access",
            b"system.posix_acl_default", b"trusted.overlay.", b"user.overlay.", b"odd.", b""]
OVERLAY = [b"trusted.overlay.opaque", b"trusted.overlay.whiteout", b"trusted.overlay.whiteouts",
           b"trusted.overlay.metacopy", b"trusted.overlay.redirect", b"user.overlay.whiteout",
           b"user.overlay.whiteouts", b"user.overlay.opaque", b"trusted.overlay.overlay.opaque",
           b"security.selinux", b"security.capability"]
NAME_BYTES = [c for c in range(1, 256) if c != 0x2F]


def escape(data, equals=False):
    out = []
    for c in data:
        if c == 0x5C:
            out.append("\\\\")
        elif c == 0x0A:
            out.append("\\n")
        elif c == 0x0D:
            out.append("\\r")
        elif c == 0x09:
            out.append("\\t")
        elif not 0x21 <= c <= 0x7E or (equals and c == 0x3D):
            out.append("\\x%02x" % c)
        else:
            out.append(chr(c))
    return "".join(out)


def field(data):
    if not data:
        return "-"
    return "\\x2d" if data == b"-" else escape(data)


class Tree:
    def __init__(self, seed, sha512, sane):
        self.r = random.Random(seed)
        self.hash = hashlib.sha512 if sha512 else hashlib.sha256
        self.lines = []
        self.sane = sane
        self.paths = []  # of what can be linked to
        r = self.r
        self.times = [self.time() for _ in range(r.choice([1, 1, 2, 5]))]
        self.labels = [bytes(r.choices(range(256), k=r.choice([0, 1, 5, 40, 200])))
                       for _ in range(4)]
        self.budget = r.choice([0, 1, 3, 10, 40, 120, 300])
        self.wide = r.random() < 0.2
        self.whiteouts = r.random() < 0.4
        self.xattr_rate = r.choice([0, 0.1, 0.5, 1])

    def time(self):
        r = self.r
        sec = r.choice([0, 1, 1700000000, 2**31, 2**33 + 5, r.randrange(2**32)])
        return "%d.%d" % (sec, r.choice([0, 0, 1, 999999999, r.randrange(10**9)]))

    def id(self):
        return self.r.choice([0, 0, 0, 1000, 65535, 65536, 2**31, 2**32 - 1])

    def name(self, used):
        r = self.r
        while True:
            kind = r.random()
            if kind < 0.1:
                n = b"%02x" % r.randrange(256)
            elif kind < 0.25:
                n = bytes(r.choices(NAME_BYTES, k=r.choice([1, 2, 30, 200, 255])))
            elif kind < 0.35:
                n = r.choice([b".a", b".!", b"-", b"!", b"..a", b".-", b"...", b"=", b".wh.x"])
            else:
                n = bytes(r.choices(b"abcdefghij0123456789._-", k=r.choice([1, 3, 8, 20, 100])))
            if n not in used and n not in (b".", b".."):
                used.add(n)
                return n

    def xattrs(self):
        r = self.r
        if r.random() >= self.xattr_rate:
            return ""
        items = {}
        for _ in range(r.choice([1, 1, 2, 3, 10])):
            if r.random() < 0.4:
                key = r.choice(OVERLAY)
            else:
                key = r.choice(PREFIXES) + bytes(r.choices(b"abcxyz.=", k=r.choice([1, 1, 2, 8, 200])))
            value = r.choice([b"", b"x", b"y", b"-"] + self.labels) if r.random() < 0.8 else bytes(
                r.choices(range(256), k=r.choice([3, 64, 500, 2000])))
            items[key] = value
        return "".join(" %s=%s" % (escape(k, True), escape(v, True)) for k, v in items.items())

    def line(self, path, size, mode, links, rdev, payload, content, digest, xattrs=None):
        r = self.r
        self.lines.append("%s %d %o %d %d %d %d %s %s %s %s%s" % (
            field(path), size, mode | r.choice([0o644, 0o755, 0o644, 0o4755, 0o7777, 0]), links,
            self.id(), self.id(), rdev, r.choice(self.times), payload, content, digest,
            self.xattrs() if xattrs is None else xattrs))

    def file(self, path):
        r = self.r
        if r.random() < 0.4:
            data = bytes(r.choices(range(256), k=r.choice([0, 1, 10, 64, 65, 300, 512])))
            self.line(path, len(data), 0o100000, 1, 0, "-", field(data), "-")
            return
        digest = self.hash(b"%d" % r.choice([0, 1, 2, r.randrange(10**9)])).hexdigest()
        size = r.choice([0, 1, 65, 4096, 4097, 2**20 + 1, 2**32 - 1, 2**32, 2**43, 2**43 + 1,
                         2**46 + 5, 2**52 + 1, 2**53 + 2**45, r.randrange(2**40)])
        size = min(size, 2**43) if self.sane else size
        self.line(path, size, 0o100000, 1, 0, digest[:2] + "/" + digest[2:], "-", digest)

    def leaf(self, path):
        r = self.r
        kind = r.random()
        if self.paths and kind < 0.12:
            self.lines.append("%s 0 @120000 - - - - 0.0 %s - -" % (
                field(path), field(r.choice(self.paths))))
            return
        if kind < 0.55:
            self.file(path)
        elif kind < 0.75:
            target = bytes(r.choices(b"abc/._", k=r.choice([1, 5, 60, 200, 500, 1000, 1024])))
            self.line(path, len(target), 0o120000, 1, 0, field(target), "-", "-")
        elif kind < 0.95 or not self.whiteouts:
            mode, rdev = r.choice([(0o020000, 259), (0o060000, 2**20 * 4095 + 7), (0o010000, 0),
                                   (0o140000, 0), (0o060000, 0)])
            self.line(path, 0, mode, 1, rdev, "-", "-", "-")
        else:
            xattrs = "" if r.random() < 0.5 else None
            self.line(path, 0, 0o020000, 1, 0, "-", "-", "-", xattrs)
            return
        self.paths.append(path)

    def directory(self, path, depth):
        r = self.r
        used = set()
        at = len(self.lines)
        self.line(path or b"/", 0, 0o040000, 2, 0, "-", "-", "-")
        n = r.choice([0, 1, 2, 5, 12]) if path else 20
        if self.wide and r.random() < 0.3:
            n = r.choice([60, 150, 400])
        children = sorted(self.name(used) for _ in range(n))
        for name in children:
            if self.budget <= 0:
                break
            self.budget -= 1
            child = path + b"/" + name
            if len(child) < 3000 and depth < 8 and r.random() < 0.3:
                self.directory(child, depth + 1)
            else:
                self.leaf(child)
        return at


def main():
    out, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sha512 = "--sha512" in sys.argv
    for seed in range(first, first + count):
        tree = Tree(seed, sha512, "--sane" in sys.argv)
        tree.directory(b"", 0)
        with open("%s/%d.dump" % (out, seed), "w") as f:
            f.write("\n".join(tree.lines) + "\n")


main()
