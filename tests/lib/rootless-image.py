#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An oci-archive with files that a user without root cannot open in a store of their own.

rootless-image.py OUTPUT NAME [FILES [alias]]
Two layers below /usr, with files of other ids and of modes 0600 and 0000, directories of mode 0700
of other ids, whiteouts, an opaque directory, and FILES (default 50) small private files. With
FILES = 0 the image has one layer that everybody may read. With `alias`, a private file lies below a
symlink, and there is no one file tree. Prints the diff_ids, base first.
"""
import hashlib
import io
import json
import random
import sys
import tarfile

rng = random.Random(7)


class Layer:
    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind, mode, uid=0, gid=0, data=b"", target=""):
        m = tarfile.TarInfo(name)
        m.type, m.mode, m.uid, m.gid, m.size, m.linkname = kind, mode, uid, gid, len(data), target
        m.mtime = 1600000000
        self.tar.addfile(m, io.BytesIO(data))

    def dir(self, name, mode=0o755, uid=0, gid=0):
        self.add(name, tarfile.DIRTYPE, mode, uid, gid)

    def file(self, name, size, mode=0o644, uid=0, gid=0):
        self.add(name, tarfile.REGTYPE, mode, uid, gid, rng.randbytes(size))

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def base(files, alias):
    a = Layer()
    a.dir("usr/")
    a.dir("usr/lib")
    a.file("usr/lib/plain", 30000)
    a.file("usr/lib/short", 20)
    if files == 0:
        return a
    a.dir("etc")
    a.file("etc/shadow", 800, 0o640, 0, 42)
    a.file("etc/private-of-7", 9000, 0o600, 7, 7)
    a.file("etc/tiny-of-7", 30, 0o400, 7, 7)
    a.file("etc/no-mode-of-root", 70, 0)
    a.file("etc/no-mode-of-9", 8192, 0, 9, 9)
    a.file("etc/setuid", 5000, 0o4711, 8, 8)
    a.file("etc/empty-of-7", 0, 0o600, 7, 7)
    a.dir("closed", 0o700, 5, 5)
    a.dir("closed/inside", 0o755)
    a.file("closed/inside/open", 9999, 0o644, 5, 5)
    a.file("closed/large", 3000000, 0o600, 5, 5)
    a.dir("none", 0, 6, 6)
    a.file("none/file", 4097, 0o644, 6, 6)
    a.add("link", tarfile.SYMTYPE, 0o777, target="closed/inside")
    a.add("etc/hard-of-7", tarfile.LNKTYPE, 0o600, 7, 7, target="etc/private-of-7")
    if alias:
        a.file("link/through-a-link", 6000, 0o600, 5, 5)
    a.dir("gone", 0o700, 5, 5)
    a.file("gone/file", 100, 0o600, 5, 5)
    a.dir("opaque", 0o755, 5, 5)
    a.file("opaque/under", 100)
    a.dir("many", 0o700, 11, 11)
    for i in range(files):
        a.file("many/%06d" % i, 65 + i % 4000, 0o600, 11, 11)
    return a


def upper():
    b = Layer()
    b.file("etc/private-of-7", 9001, 0o600, 7, 7)
    b.add(".wh.gone", tarfile.REGTYPE, 0o600)
    b.dir("opaque", 0o755, 5, 5)
    b.add("opaque/.wh..wh..opq", tarfile.REGTYPE, 0o600)
    b.file("opaque/over", 200, 0o600, 5, 5)
    b.file("none/second", 7000, 0o600, 6, 6)
    b.file("usr/lib/plain", 31000)
    return b


def main():
    output, name = sys.argv[1:3]
    files = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    layers = [base(files, sys.argv[4:] == ["alias"]).bytes()] + ([upper().bytes()] if files else [])
    diff_ids = ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "rootless-image.py"}] * len(layers),
    }).encode()
    with tarfile.open(output, "w") as tar:
        def put(path, data):
            m = tarfile.TarInfo(path)
            m.size = len(data)
            tar.addfile(m, io.BytesIO(data))

        def blob(kind, data):
            digest = hashlib.sha256(data).hexdigest()
            put("blobs/sha256/" + digest, data)
            return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest,
                    "size": len(data)}
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", config),
            "layers": [blob("layer.v1.tar", data) for data in layers],
        }
        entry = blob("manifest.v1+json", json.dumps(manifest).encode())
        entry["annotations"] = {"org.opencontainers.image.ref.name": name + ":latest"}
        put("index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        put("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    print("\n".join(diff_ids))


main()
