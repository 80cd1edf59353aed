#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stores bytes as a layer's stream whatever they are, which no program does:

    put-layer-stream.py REPO DIFFID < BYTES

One inline chunk in a sha512 repository; the stream must have less than 4096 bytes.
"""
import hashlib
import os
import struct
import subprocess
import sys


def zstd(data):
    return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def verity(data):
    """The fs-verity digest of a file of one block: sha512, blocks of 4096, no salt."""
    assert len(data) <= 4096
    root = hashlib.sha512(data.ljust(4096, b"\0")).digest()
    descriptor = struct.pack("<BBBBIQ", 1, 2, 12, 0, 0, len(data)) + root
    return hashlib.sha512(descriptor.ljust(256, b"\0")).hexdigest()


def main():
    repo, diff_id = sys.argv[1:]
    data = sys.stdin.buffer.read()
    names, stream = zstd(b""), zstd(struct.pack("<q", -len(data)) + data)
    at, end = 112 + len(names), 112 + len(names) + len(stream)
    header = b"SplitStream\0" + struct.pack("<HBBQQ", 0, 2, 12, 32, 112)
    header += struct.pack("<8Q", 112, 112, 112, 112, at, end, 112, at) + b"ocilayer" + struct.pack("<Q", len(data))
    file = header + names + stream
    digest = verity(file)
    path = os.path.join("objects", digest[:2], digest[2:])
    os.makedirs(os.path.join(repo, "objects", digest[:2]), exist_ok=True)
    with open(os.path.join(repo, path), "wb") as f:
        f.write(file)
    name = os.path.join(repo, "streams", "oci-layer-" + diff_id)
    if os.path.lexists(name):
        os.unlink(name)
    os.symlink(os.path.join("..", path), name)


main()
