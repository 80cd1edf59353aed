#!/usr/bin/env python3
"""Writes an OCI layout with one image of N small layers: many-layers.py DIRECTORY N [SEED]."""
import hashlib
import io
import json
import os
import sys
import tarfile

top, n = sys.argv[1], int(sys.argv[2])
seed = sys.argv[3] if len(sys.argv) > 3 else "x"
os.makedirs(top + "/blobs/sha256")


def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    with open(top + "/blobs/sha256/" + digest, "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def layer(i):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("own-%d" % i, "every"):
            data = ("%s %d %s\n" % (seed, i, name)).encode() * 40
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return blob(out.getvalue())


layers = [layer(i) for i in range(n)]
config = {"architecture": "amd64", "os": "linux", "config": {},
          "rootfs": {"type": "layers", "diff_ids": [d["digest"] for d in layers]}}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": dict(blob(json.dumps(config).encode()),
                           mediaType="application/vnd.oci.image.config.v1+json"),
            "layers": [dict(d, mediaType="application/vnd.oci.image.layer.v1.tar") for d in layers]}
index = {"schemaVersion": 2, "manifests": [
    dict(blob(json.dumps(manifest).encode()), mediaType=manifest["mediaType"],
         annotations={"org.opencontainers.image.ref.name": "t"})]}
with open(top + "/index.json", "w") as f:
    json.dump(index, f)
with open(top + "/oci-layout", "w") as f:
    json.dump({"imageLayoutVersion": "1.0.0"}, f)
