#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Throughput of GetBlob, GetRawBlob and a bare pipe, with a client that only reads.
  proxy.py READER REFERENCE RUNS -- PROGRAM… -- PROGRAM…    (the first is ours)"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from proxy_client import Proxy  # noqa: E402

reader, reference, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
rest = sys.argv[5:]
cut = rest.index("--")
programs = {"splitfd": rest[:cut], "skopeo": rest[cut + 1:]}


def read(fd, size):
    p = subprocess.Popen([reader, str(fd), str(size)], pass_fds=[fd])
    os.close(fd)
    return p


def blob(proxy, image, layer, raw):
    start = time.monotonic()
    if raw:
        reply, fds = proxy.call("GetRawBlob", image, layer["digest"])
    else:
        reply, fds = proxy.call("GetBlob", image, layer["digest"], layer["size"])
    assert reply["success"], reply
    p = read(fds[0], layer["size"])
    if raw:
        assert os.read(fds[1], 1000) == b""
        os.close(fds[1])
    else:
        proxy.value("FinishPipe", reply["pipeid"])
    assert p.wait() == 0
    return time.monotonic() - start


def bare(size):
    """The same number of zeros by a program that only writes."""
    start = time.monotonic()
    r, w = os.pipe()
    import fcntl
    fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ, as the proxy's
    writer = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=w)
    os.close(w)
    p = read(r, size)
    assert p.wait() == 0 and writer.wait() == 0
    return time.monotonic() - start


def image_time(proxy, image, layers, raw):
    return sum(blob(proxy, image, layer, raw) for layer in layers)


sessions = {}
for name, argv in programs.items():
    proxy = Proxy(argv, timeout=600)
    image = proxy.open(reference)
    sessions[name] = proxy, image, proxy.layers(image)
total = sum(x["size"] for x in sessions["splitfd"][2])
times = {}
for _ in range(runs):
    for name, (proxy, image, layers) in sessions.items():
        for raw in (False, True):
            times.setdefault((name, "GetRawBlob" if raw else "GetBlob"), []).append(
                image_time(proxy, image, layers, raw))
    times.setdefault(("pipe", ""), []).append(bare(total))
speed = {k: total / statistics.median(v) / 2**20 for k, v in times.items()}
print(f"{reference.split(']')[-1]}: {total / 2**20:.0f} MiB in {len(sessions['splitfd'][2])} layers, {runs} runs")
for (name, method), v in speed.items():
    print(f"  {name:8} {method:11} {v:8.0f} MiB/s")
for method in ("GetBlob", "GetRawBlob"):
    ours = speed["splitfd", method]
    print(f"  {method}: {ours / speed['skopeo', method]:.1f} times skopeo, {ours / speed['pipe', '']:.2f} of a bare pipe")
for proxy, _, _ in sessions.values():
    proxy.close()
