#!/usr/bin/env python3
"""Compares two splitstreams by content: splitstream.py FILE FILE

Equal means: content type, size, object and stream references, decompressed chunks and names; the
compressed bytes may differ, as they do between versions of libzstd. Decompresses with the zstd
program, so that the judge is not the code under test. An EROFS reference (composefs.image…) that only
one of them holds is not compared.
"""
import struct
import subprocess
import sys


def unzstd(data):
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    if data[:12] != b"SplitStream\0":
        sys.exit(f"{path}: no splitstream")
    width = {1: 32, 2: 64}[data[14]]
    info = struct.unpack_from("<QQ", data, 16)[0]
    ranges = struct.unpack_from("<8Q", data, info)
    part = [data[ranges[i]:ranges[i + 1]] for i in range(0, 8, 2)]
    streams, objects, stream, names = part
    split = lambda b: [b[i:i + width].hex() for i in range(0, len(b), width)]
    streams = split(streams)
    named = {}
    for record in unzstd(names).split(b"\0"):
        if record:
            index, _, name = record.partition(b":")
            named[name] = streams[int(index)]
    return {
        "content type": data[info + 64:info + 72],
        "size": struct.unpack_from("<Q", data, info + 72)[0],
        "objects": split(objects),
        "chunks": unzstd(stream),
        "names": named,
    }


def main():
    a, b = read(sys.argv[1]), read(sys.argv[2])
    layer_refs = lambda s: sorted(k for k in s["names"] if not k.startswith(b"composefs.image"))
    for key in ("content type", "size", "objects", "chunks"):
        if a[key] != b[key]:
            sys.exit(f"{sys.argv[1]} and {sys.argv[2]}: {key} differ")
    if layer_refs(a) != layer_refs(b):
        sys.exit(f"{sys.argv[1]} and {sys.argv[2]}: names differ: {layer_refs(a)} {layer_refs(b)}")
    for key in a["names"].keys() & b["names"].keys():
        if key.startswith(b"composefs.image") and a["names"][key] != b["names"][key]:
            sys.exit(f"{sys.argv[1]} and {sys.argv[2]}: {key.decode()} differs")


main()
