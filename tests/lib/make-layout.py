#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An OCI layout of layers given as tars: make-layout.py LAYOUT TAG FORMAT[+FAULT]:TAR…
FORMAT: plain, gzip, zstd. FAULT, of that layer's blob or of what is said of it:
  digest    one byte differs that no decompressor looks at (gzip's time); the size is right
  damaged   the compressed data is damaged in the middle
  cut       the blob's second half is missing
  longer    the blob has bytes behind its end
  size      the manifest has a size that is one too large
  smaller   the manifest has a size that is one too small
  diffid    the config has the diff_id of other content; the blob is as its digest says
Prints each layer's diff_id as the config has it and its blob's digest, base first."""
import gzip
import hashlib
import json
import os
import subprocess
import sys

layout, tag = sys.argv[1:3]
blobs = os.path.join(layout, "blobs", "sha256")
os.makedirs(blobs, exist_ok=True)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def put(data, kind, name=None):
    name = name or sha256(data)
    with open(os.path.join(blobs, name), "wb") as f:
        f.write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data)}


def pack(tar, form):
    if form == "gzip":
        return gzip.compress(tar, 6, mtime=1)
    if form == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=tar, stdout=subprocess.PIPE, check=True).stdout
    assert form == "plain", form
    return tar


def spoil(data, fault):
    middle = len(data) // 2
    if fault == "digest":
        assert data[:2] == b"\x1f\x8b"
        return data[:4] + bytes([data[4] ^ 1]) + data[5:]
    if fault == "damaged":
        return data[:middle] + bytes(x ^ 0x5a for x in data[middle:middle + 64]) + data[middle + 64:]
    if fault == "cut":
        return data[:middle]
    if fault == "longer":
        return data + b"more"
    return data


layers, diff_ids = [], []
for argument in sys.argv[3:]:
    how, path = argument.split(":", 1)
    form, _, fault = how.partition("+")
    with open(path, "rb") as f:
        tar = f.read()
    data = pack(tar, form)
    kind = "layer.v1.tar" + ("" if form == "plain" else "+" + form)
    descriptor = put(data, kind)
    put(spoil(data, fault), kind, descriptor["digest"][7:])
    descriptor["size"] += {"size": 1, "smaller": -1}.get(fault, 0)
    layers.append(descriptor)
    diff_ids.append("sha256:" + sha256(b"other" if fault == "diffid" else tar))
    print(diff_ids[-1], descriptor["digest"])

config = {"created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux",
          "config": {"Env": ["A=<b>&c"], "Cmd": ["/bin/sh"]},
          "rootfs": {"type": "layers", "diff_ids": diff_ids},
          "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "a test"} for _ in diff_ids]}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
entry = put(json.dumps(manifest).encode(), "manifest.v1+json")
entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
index = os.path.join(layout, "index.json")
manifests = []
if os.path.exists(index):
    with open(index) as f:
        manifests = json.load(f)["manifests"]
with open(index, "w") as f:
    json.dump({"schemaVersion": 2, "manifests": manifests + [entry]}, f)
with open(os.path.join(layout, "oci-layout"), "w") as f:
    f.write('{"imageLayoutVersion":"1.0.0"}')
