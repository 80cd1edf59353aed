#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Throughput of GetBlob, GetRawBlob and a bare pipe, with a client that only reads: until it has read
the last byte, and until it has been told that all is well.
  proxy.py READER REFERENCE RUNS -- PROGRAM… -- PROGRAM…    (the first is ours)"""
import hashlib
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
    """Seconds until the last byte was read, and until the blob's verdict was there."""
    start = time.monotonic()
    if raw:
        reply, fds = proxy.call("GetRawBlob", image, layer["digest"])
    else:
        reply, fds = proxy.call("GetBlob", image, layer["digest"], layer["size"])
    assert reply["success"], reply
    p = read(fds[0], layer["size"])
    assert p.wait() == 0
    data = time.monotonic() - start
    if raw:
        assert os.read(fds[1], 1000) == b""
        os.close(fds[1])
    else:
        proxy.value("FinishPipe", reply["pipeid"])
    return data, time.monotonic() - start


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


def sha256_speed():
    """What one thread can do: the bound of GetBlob's verdict."""
    data = bytes(1 << 20)
    digest, start = hashlib.sha256(), time.monotonic()
    for _ in range(256):
        digest.update(data)
    return 256 / (time.monotonic() - start)


sessions = {}
for name, argv in programs.items():
    proxy = Proxy(argv, timeout=600)
    image = proxy.open(reference)
    sessions[name] = proxy, image, proxy.layers(image)
total = sum(x["size"] for x in sessions["splitfd"][2])
times = {}
for _ in range(runs):
    for raw in (False, True):
        for name, (proxy, image, layers) in sessions.items():
            got = [blob(proxy, image, layer, raw) for layer in layers]
            for i, what in enumerate(("data", "verdict")):
                times.setdefault((name, raw, what), []).append(sum(x[i] for x in got))
        times.setdefault("pipe", []).append(bare(total))
speed = {k: total / statistics.median(v) / 2**20 for k, v in times.items()}
print(f"{reference.split(']')[-1]}: {total / 2**20:.0f} MiB in {len(sessions['splitfd'][2])} layers, {runs} runs; MiB/s")
print(f"  a bare pipe {speed['pipe']:.0f}, sha256 by one thread {sha256_speed():.0f}")
for raw, method in (False, "GetBlob"), (True, "GetRawBlob"):
    for what, text in ("data", "until the last byte"), ("verdict", "with FinishPipe" if not raw else "with the error pipe"):
        ours, theirs = speed["splitfd", raw, what], speed["skopeo", raw, what]
        print(f"  {method:10} {text:20} splitfd {ours:5.0f}, skopeo {theirs:5.0f}: "
              f"{ours / theirs:.1f} times, {ours / speed['pipe']:.2f} of a bare pipe")
for proxy, _, _ in sessions.values():
    proxy.close()
