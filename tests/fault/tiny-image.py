#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three small layers as tars, so that one pull takes milliseconds: tiny-image.py DIR [SEED]. Writes DIR/0.tar to
DIR/2.tar. Files with sizes around every border, hard links, symbolic links, a whiteout, the same content twice."""
import io
import os
import random
import sys
import tarfile

top = sys.argv[1]
r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
# Inline in the stream up to 64; a page; the hash tree's blocks of two levels.
BORDERS = [0, 1, 63, 64, 65, 4095, 4096, 4097, 64 * 4096, 128 * 4096, 128 * 4096 + 1]


class Layer:
    def __init__(self, name):
        self.tar = tarfile.open(os.path.join(top, name), "w", format=tarfile.PAX_FORMAT)
        self.seen = set()

    def add(self, name, kind, data=b"", target="", pax=None):
        parent = os.path.dirname(name)
        if parent and parent not in self.seen:
            self.add(parent, tarfile.DIRTYPE)
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = kind, len(data), target
        info.mode = {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(kind, 0o644)
        info.mtime = 1700000000
        info.pax_headers = pax or {}
        self.tar.addfile(info, io.BytesIO(data))
        self.seen.add(name)

    def file(self, name, data, pax=None):
        self.add(name, tarfile.REGTYPE, data, pax=pax)


os.makedirs(top, exist_ok=True)
base = Layer("0.tar")
for size in BORDERS:
    base.file("usr/share/border/%d" % size, r.randbytes(size))
for i in range(16):
    base.file("usr/bin/program-%d" % i, r.randbytes(r.randrange(66, 9000)))
base.add("usr/bin/link", tarfile.SYMTYPE, target="program-1")
base.add("usr/bin/hard", tarfile.LNKTYPE, target="usr/bin/program-2")
base.add("etc", tarfile.DIRTYPE)
base.file("etc/labelled", r.randbytes(500), {"SCHILY.xattr.user.campaign": "value"})
base.tar.close()

middle = Layer("1.tar")
middle.file("usr/bin/program-3", r.randbytes(3000))
middle.file("usr/bin/.wh.program-4", b"")
same = r.randbytes(70000)
middle.file("usr/lib/one", same)
middle.file("usr/lib/two", same)
middle.add("usr/lib/hard", tarfile.LNKTYPE, target="usr/lib/one")
middle.tar.close()

last = Layer("2.tar")
for i in range(8):
    last.file("opt/data-%d" % i, r.randbytes(r.choice([100, 5000, 20000])))
last.file("opt/small", b"inline")
last.tar.close()
