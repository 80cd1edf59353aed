#!/usr/bin/env python3
"""put-document.py REPOSITORY NAME TYPE [REFERENCE=NAME|HEX…] < JSON: a config or manifest as no right writer
would store it: the bytes of standard input as an object, a splitstream of that content type (ociconfg or
ocimanif) with the named references (to another stream's object by its NAME, or to HEX) as another, and
streams/NAME. {} in NAME is the sha256 of the bytes. Prints NAME. sha512 repositories only."""
import hashlib
import os
import struct
import subprocess
import sys


def verity(data):
    blocks = lambda b: [b[i:i + 4096].ljust(4096, b"\0") for i in range(0, len(b), 4096)]
    level = data
    while True:
        hashes = [hashlib.sha512(b).digest() for b in blocks(level)]
        if len(hashes) == 1:
            break
        level = b"".join(hashes)
    return hashlib.sha512(struct.pack("<BBBBIQ64s", 1, 2, 12, 0, 0, len(data), hashes[0]).ljust(256, b"\0")).digest()


def put(repository, data):
    digest = verity(data)
    folder = "%s/objects/%s" % (repository, digest.hex()[:2])
    os.makedirs(folder, exist_ok=True)
    with open("%s/%s" % (folder, digest.hex()[2:]), "wb") as f:
        f.write(data)
    return digest


def zstd(data):
    return subprocess.run(["zstd", "-3cq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def main():
    repository, name, kind = sys.argv[1:4]
    document = sys.stdin.buffer.read()
    name = name.format("sha256:" + hashlib.sha256(document).hexdigest())
    targets, names = [], []
    for word in sys.argv[4:]:
        reference, _, target = word.rpartition("=")
        link = "%s/streams/%s" % (repository, target)
        if os.path.islink(link):
            target = "".join(os.readlink(link).split("/")[-2:])
        names.append(b"%d:%s\0" % (len(targets), reference.encode()))
        targets.append(bytes.fromhex(target))
    parts = [b"".join(targets), put(repository, document), zstd(b"".join(sorted(names))), zstd(bytes(8))]
    at, ranges = 112, []
    for part in parts:
        ranges.append((at, at + len(part)))
        at += len(part)
    streams, objects, named, stream = ranges
    head = b"SplitStream\0" + struct.pack("<HBBQQ", 0, 2, 12, 32, 112)
    head += b"".join(struct.pack("<QQ", *r) for r in (streams, objects, stream, named))
    head += kind.encode() + struct.pack("<Q", len(document))
    digest = put(repository, head + b"".join(parts)).hex()
    link = "%s/streams/%s" % (repository, name)
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink("../objects/%s/%s" % (digest[:2], digest[2:]), link)
    print(name)


main()
