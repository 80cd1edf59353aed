#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client of the image proxy must not be able to do. Prints TAP.
  proxy-hostile.py REFERENCE PROGRAM…"""
import json
import os
import random
import select
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, ProxyError, drain, sha256  # noqa: E402

REFERENCE, ARGV = sys.argv[1], sys.argv[2:]
count = failed = 0
# A sanitizer's program takes ten times as long.
SANITIZED = bool(os.environ.get("SANITIZED"))
MANY = int(os.environ.get("PROXY_MANY") or (1000 if SANITIZED else 10000))


def held(proxy):
    """Descriptors, threads and memory (KiB) of the server."""
    pid = proxy.process.pid
    with open(f"/proc/{pid}/status") as f:
        memory = int([x for x in f if x.startswith("VmRSS")][0].split()[1])
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")), memory


def settle(proxy, want, seconds=10):
    """Workers need a moment to end; the server joins them at the next request."""
    end = time.time() + seconds
    while time.time() < end:
        proxy.call("Nope")
        if held(proxy)[:2] == want:
            break
        time.sleep(0.05)
    return held(proxy)[:2]


def works(proxy):
    image = proxy.open(REFERENCE)
    layer = proxy.layers(image)[0]
    data = proxy.blob(image, layer["digest"], layer["size"])
    assert sha256(data) == layer["digest"]
    proxy.value("CloseImage", image)


def case(f):
    global count, failed
    count += 1
    try:
        proxy = Proxy(ARGV)
        works(proxy)
        before = held(proxy)[:2]
        f(proxy)
        works(proxy)
        after = settle(proxy, before)
        # A sanitizer's own thread begins with the program's first.
        assert after in (before, (before[0], before[1] + SANITIZED)), f"descriptors and threads {before} -> {after}"
        status = proxy.close()
        assert status == 0, f"exit status {status}"
        print(f"ok {count} - {f.__doc__}")
    except Exception as e:
        failed += 1
        print(f"# {type(e).__name__}: {e}\nnot ok {count} - {f.__doc__}")


def refused(proxy, packet, fds=()):
    reply, got = proxy.raw(packet, fds)
    assert not reply["success"] and reply["error"] and not got, reply


@case
def garbage(p):
    "garbage, wrong types, deep nesting"
    r = random.Random(1)
    for _ in range(MANY // 5):
        refused(p, bytes(r.randrange(256) for _ in range(r.randrange(1, 200))))
    for packet in (b"[]", b"1", b"null", b'"x"', b'{"method":[]}', b'{"method":"OpenImage","args":3}',
                   b"[" * 30000, b'{"a":' * 5000, b'{"method":"OpenImage","args":["\\u0000"]}'):
        refused(p, packet)
    base = b'{"method":"GetBlob","args":[1,"sha256:aa",1]}'
    for _ in range(MANY // 3):
        mutated = bytearray(base)
        for _ in range(r.randrange(1, 4)):
            mutated[r.randrange(len(mutated))] = r.randrange(256)
        refused(p, bytes(mutated))


@case
def large(p):
    "packets of 32 KiB to 1 MiB"
    p.sock.setsockopt(socket.SOL_SOCKET, 32, 1 << 22)  # SO_SNDBUFFORCE
    for n in (32 * 1024 - 30, 32 * 1024, 100 * 1024, 200 * 1024, 1 << 20):
        refused(p, b'{"method":"' + b"m" * n + b'"}')


@case
def descriptors(p):
    "descriptors that nobody asked for, up to 253 with one packet"
    null = os.open("/dev/null", os.O_RDONLY)
    for n in (1, 2, 5, 253):
        refused(p, b'{"method":"Nope","args":[]}', [null] * n)
    os.close(null)


@case
def closes(p):
    "pipes that are closed at once"
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    for _ in range(100):
        reply, fds = p.call("GetBlob", image, layer["digest"], layer["size"])
        for fd in fds:
            os.close(fd)
        reply, _ = p.call("FinishPipe", reply["pipeid"])
        assert not reply["success"] and reply["error_code"] == "EPIPE", reply
        for fd in p.call("GetManifest", image)[1]:
            os.close(fd)
    for i in range(1, 500):  # whatever is left
        p.call("FinishPipe", i)
    p.value("CloseImage", image)


@case
def drops(p):
    "a thousand raw blobs that are dropped"
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    for _ in range(MANY // 10):
        for fd in p.call("GetRawBlob", image, layer["digest"])[1]:
            os.close(fd)
    p.value("CloseImage", image)


@case
def many(p):
    "300 blobs at once, read in the other order"
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    pipes = []
    for _ in range(300):
        reply, fds = p.call("GetRawBlob", image, layer["digest"])
        assert reply["success"], reply
        pipes.append(fds)
    for data, error in reversed(pipes):
        assert sha256(drain(data)) == layer["digest"]
        assert drain(error) == b""
    p.value("CloseImage", image)


@case
def waits(p):
    "FinishPipe of a blob that is not read stops no other blob"
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    args = image, layer["digest"], layer["size"]
    (one, (late,)), (two, (soon,)), (_, raw) = p.call("GetBlob", *args), p.call("GetBlob", *args), p.call("GetRawBlob", *args[:2])
    p.sock.send(json.dumps({"method": "FinishPipe", "args": [one["pipeid"]]}).encode())
    data = b""
    while len(data) < layer["size"]:
        data += os.read(soon, layer["size"] - len(data))
    assert sha256(data) == layer["digest"] == sha256(drain(raw[0])) and drain(raw[1]) == b""
    assert not select.select([p.sock], [], [], 0)[0], "it did not wait"
    assert sha256(drain(late)) == layer["digest"]
    assert json.loads(p.sock.recv(1 << 16))["success"]
    assert p.value("FinishPipe", two["pipeid"]) is None
    os.close(soon)
    p.value("CloseImage", image)


@case
def images(p):
    "10,000 open images"
    memory = held(p)[2]
    for _ in range(MANY):
        p.open(REFERENCE)
    grown = held(p)[2] - memory
    assert SANITIZED or grown < 20000, f"{grown} KiB for 10,000 images"
    for i in range(2, MANY + 2):
        p.value("CloseImage", i)
    refused(p, b'{"method":"CloseImage","args":[5]}')


@case
def wrong(p):
    "wrong digests, sizes, images, pipes"
    image = p.open(REFERENCE)
    layer = p.layers(image)[0]
    for size in (0, layer["size"] + 1, layer["size"] - 1, -1):
        try:
            p.blob(image, layer["digest"], size)
            raise AssertionError(f"size {size} was accepted")
        except ProxyError as e:
            assert "expected" in str(e), e
    for args in ([], [None], [-1], [0], [1e300], ["1"], [[]]):
        refused(p, json.dumps({"method": "FinishPipe", "args": args}).encode())
    p.value("CloseImage", image)


@case
def splitfd(p):
    "GetLayerSplitfd: streams that are dropped, never read, closed by halves"
    image = p.open(REFERENCE)
    if not REFERENCE.startswith("containers-storage:"):
        refused(p, json.dumps({"method": "GetLayerSplitfd", "args": [image, p.layers(image)[0]["digest"]]}).encode())
        return
    layer = max(p.layers(image), key=lambda x: x["size"])
    for which in ([0, 1], [1, 0]) * 50:
        reply, fds = p.call("GetLayerSplitfd", image, layer["digest"], {"inline_max": 0})
        assert reply["success"] and len(fds) == 2, reply
        for i in which:
            os.close(fds[i])
        p.call("FinishPipe", reply["pipeid"])
    for options in ({"format": "x"}, {"format": 1}, {"more": True}, [], "x", {"inline_max": -1}):
        reply, fds = p.call("GetLayerSplitfd", image, layer["digest"], options)
        assert not reply["success"] and not fds, reply
    p.value("CloseImage", image)


def stalled():
    "a client that never reads gets an error within the timeout, and the session goes on"
    p = Proxy(ARGV + ["--command-timeout=2s"])
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    reply, fds = p.call("GetBlob", image, layer["digest"], layer["size"])
    start = time.time()
    finished, _ = p.call("FinishPipe", reply["pipeid"])
    assert not finished["success"] and finished["error_code"] == "retryable", finished
    assert time.time() - start < 10
    os.close(fds[0])
    works(p)
    assert p.close() == 0


def vanishes():
    "a client that dies in the middle of blobs: the server ends"
    p = Proxy(ARGV)
    image = p.open(REFERENCE)
    layer = max(p.layers(image), key=lambda x: x["size"])
    kept = [p.call("GetRawBlob", image, layer["digest"])[1] for _ in range(5)]
    kept += [p.call("GetBlob", image, layer["digest"], layer["size"])[1] for _ in range(5)]
    kept += [p.call("GetLayerSplitfd", image, layer["digest"])[1]]
    start = time.time()
    assert p.close() == 0  # with the pipes still open on this side
    assert time.time() - start < 5
    for fds in kept:
        for fd in fds:
            os.close(fd)


for f in (stalled, vanishes):
    count += 1
    try:
        f()
        print(f"ok {count} - {f.__doc__}")
    except Exception as e:
        failed += 1
        print(f"# {type(e).__name__}: {e}\nnot ok {count} - {f.__doc__}")
print(f"1..{count}")
sys.exit(failed != 0)
