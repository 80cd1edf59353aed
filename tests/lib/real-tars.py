#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real-tars.py TARS OUT: an OCI layout OUT/PROJECT-NAME for each tar of tests/lib/real-tars, each content once: a small
base and the tar above it. Prints the cases."""
import hashlib
import importlib.util
import io
import os
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("odd_layers", os.path.join(HERE, "odd-layers.py"))
odd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(odd)
# A file of 60 GB each, in a few kB: what they are for is tested with smaller ones.
LARGE = ("gnu-sparse-big", "pax-sparse-big", "writer-big-long", "writer-big")


def base():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind in (("usr", tarfile.DIRTYPE), ("usr/base", tarfile.REGTYPE)):
            m = tarfile.TarInfo(name)
            m.type, m.mode, m.mtime, m.size = kind, 0o755, 1600000000, 0 if kind == tarfile.DIRTYPE else 500
            tar.addfile(m, io.BytesIO(b"b" * 500))
    return out.getvalue()


def main():
    top, out = sys.argv[1:]
    lower, seen = base(), set()
    for project in sorted(os.listdir(top)):
        for file in sorted(os.listdir(os.path.join(top, project))):
            name = file.removesuffix(".tar")
            with open(os.path.join(top, project, file), "rb") as f:
                data = f.read()
            digest = hashlib.sha256(data).digest()
            if name in LARGE or digest in seen:
                continue
            seen.add(digest)
            # As a name of podman's.
            case = f"{project}-{name}".lower().replace("_", "-").replace(".", "-")
            odd.write_layout(os.path.join(out, case), [lower, data])
            print(case)


main()
