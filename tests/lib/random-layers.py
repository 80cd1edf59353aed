#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes seeded random images of 1 to 5 layers as OCI layouts that cfsctl accepts.

random-layers.py DIR FIRST COUNT   DIR/N for N = FIRST ... FIRST + COUNT - 1
"""
import hashlib
import io
import json
import os
import random
import sys
import tarfile

TOP = ["usr", "run", "etc", "var"]


class Image:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.tree = {}  # path: "d", or the identity of a leaf
        self.chr00 = set()
        self.next = 0

    def name(self):
        r = self.r
        kind = r.random()
        if kind < 0.1:
            return "%02x" % r.randrange(256)
        if kind < 0.2:
            return bytes(r.choices([c for c in range(1, 256) if c not in b"/"],
                                   k=r.choice([1, 5, 60, 255]))).decode("utf-8", "surrogateescape")
        if kind < 0.3:
            return r.choice(["...", "..a", ".a", "-", "a b", "a=b", "wh.", ".w"])
        return "".join(r.choices("abcdefgh._-", k=r.choice([1, 2, 5, 30, 120])))

    def directories(self):
        return [""] + [p for p, k in self.tree.items() if k == "d"]

    def new_path(self):
        while True:
            parent = self.r.choice(self.directories())
            name = self.name()
            path = parent + "/" + name if parent else name
            if name not in (".", "..") and not name.startswith(".wh.") and len(
                    path.encode("utf-8", "surrogateescape")) < 3500:
                return path

    def forget(self, path):
        for p in [p for p in self.tree if p == path or p.startswith(path + "/")]:
            del self.tree[p]

    def info(self, path, kind):
        r = self.r
        spelled = r.choice(["", "", "./", "/"]) + path
        if kind == tarfile.DIRTYPE:
            spelled += r.choice(["", "/"])
        i = tarfile.TarInfo(spelled)
        i.type = kind
        i.mode = r.choice([0o644, 0o755, 0o4755, 0o1777, 0])
        i.uid, i.gid = (r.choice([0, 0, 1000, 65536, 2**21, 2**31]) for _ in range(2))
        i.mtime = r.choice([0, 1, 1700000000, 2**33, 1600000000.25, 1.5, r.randrange(2**32)])
        i.pax_headers = {}
        if r.random() < 0.2:
            for key in r.sample(["security.capability", "user.a", "user.b", "trusted.x",
                                 "security.selinux", "trusted.overlay.opaque"], 2):
                i.pax_headers["SCHILY.xattr." + key] = r.choice(["", "x", "value\n=1", "y" * 300])
        return i

    def leaf(self, path):
        r = self.r
        leaves = [p for p, k in self.tree.items() if k != "d" and k not in self.chr00]
        kind = r.random()
        data = b""
        if leaves and kind < 0.2:
            target = r.choice(leaves)
            i = self.info(path, tarfile.LNKTYPE)
            i.linkname = r.choice(["", "./", "/"]) + target
            identity = self.tree[target]
            self.forget(path)
            self.tree[path] = identity
            return i, data
        self.next += 1
        identity = self.next
        if kind < 0.6:
            i = self.info(path, tarfile.REGTYPE)
            data = bytes([r.randrange(256)]) * r.choice([0, 1, 63, 64, 65, 511, 512, 513, 5000])
            i.size = len(data)
        elif kind < 0.8:
            i = self.info(path, tarfile.SYMTYPE)
            i.linkname = r.choice(["a", "/x/y", "../z", "l" * 100, "l" * 101, "m" * 900])
        elif kind < 0.9:
            i = self.info(path, tarfile.FIFOTYPE)
        else:
            i = self.info(path, r.choice([tarfile.CHRTYPE, tarfile.BLKTYPE]))
            i.devmajor, i.devminor = r.choice([(0, 0), (1, 3), (4095, 2**20 - 1), (8, 300)])
            if i.type == tarfile.CHRTYPE and (i.devmajor, i.devminor) == (0, 0):
                self.chr00.add(identity)
        self.forget(path)
        self.tree[path] = identity
        return i, data

    def directory(self, path):
        if self.tree.get(path) != "d":
            self.forget(path)
        self.tree[path] = "d"
        return self.info(path, tarfile.DIRTYPE), b""

    def whiteout(self):
        r = self.r
        keep = {"usr"}
        if r.random() < 0.2:
            parent = r.choice([d for d in self.directories() if d])
            for p in [p for p in self.tree if p.startswith(parent + "/")]:
                self.forget(p)
            return self.info(parent + "/.wh..wh..opq", tarfile.REGTYPE), b""
        path = r.choice(list(self.tree)) if r.random() < 0.8 else self.new_path()
        head, _, tail = path.rpartition("/")
        if path in keep:
            return None
        self.forget(path)
        return self.info((head + "/" if head else "") + ".wh." + tail, tarfile.REGTYPE), b""

    def entry(self):
        r = self.r
        kind = r.random()
        if kind < 0.15:
            return self.whiteout()
        if kind < 0.35:
            return self.directory(self.new_path())
        if kind < 0.45:
            return self.directory(r.choice(self.directories()[1:]))
        path = self.new_path()
        if r.random() < 0.15:
            path = r.choice([p for p in self.tree if p not in TOP] or [path])
        return self.leaf(path)

    def layer(self, first):
        r = self.r
        out = io.BytesIO()
        form = r.choice([tarfile.PAX_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
        with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape",
                          encoding="utf-8") as tar:
            for name in TOP if first else []:
                tar.addfile(*self.directory(name))
            for _ in range(r.choice([0, 1, 5, 20, 60])):
                entry = self.entry()
                if entry:
                    tar.addfile(entry[0], io.BytesIO(entry[1]))
        return out.getvalue()


def blob(top, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(top, "blobs/sha256", digest), "wb") as f:
        f.write(data)
    return "sha256:" + digest


def write(top, layers):
    os.makedirs(os.path.join(top, "blobs/sha256"))
    ids = [blob(top, data) for data in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    kind = "application/vnd.oci.image."
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json", "digest": blob(top, config),
                   "size": len(config)},
        "layers": [{"mediaType": kind + "layer.v1.tar", "digest": d, "size": len(data)}
                   for d, data in zip(ids, layers)]}).encode()
    index = {"schemaVersion": 2, "manifests": [{
        "mediaType": kind + "manifest.v1+json", "digest": blob(top, manifest),
        "size": len(manifest), "platform": {"architecture": "amd64", "os": "linux"}}]}
    with open(os.path.join(top, "index.json"), "w") as f:
        json.dump(index, f)
    with open(os.path.join(top, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')


def main():
    out, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for seed in range(first, first + count):
        image = Image(seed)
        layers = [image.layer(i == 0) for i in range(image.r.choice([1, 2, 3, 5]))]
        write(os.path.join(out, str(seed)), layers)


main()
