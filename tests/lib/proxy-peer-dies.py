#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real skopeo behind our proxy is stopped or killed. proxy-peer-dies.py FOREIGN NATIVE PROGRAM…"""
import fcntl
import json
import os
import signal
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, drain, sha256  # noqa: E402

foreign, native, argv = sys.argv[1], sys.argv[2], sys.argv[3:]


def child(proxy):
    pid = proxy.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return int(f.read().split()[0])


def waiting(fd):
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def full(fd):
    """Waits until its writer waits for us."""
    while waiting(fd) < fcntl.fcntl(fd, 1032):  # F_GETPIPE_SZ
        time.sleep(0.01)


def works(proxy, reference):
    image = proxy.open(reference)
    layer = proxy.layers(image)[0]
    assert sha256(proxy.blob(image, layer["digest"], layer["size"])) == layer["digest"]


for what in (signal.SIGSTOP, signal.SIGKILL):
    p = Proxy(argv + ["--command-timeout", "2s"])
    image = p.open(foreign)
    layer = max(p.layers(image), key=lambda x: x["size"])
    reply, fds = p.call("GetBlob", image, layer["digest"], layer["size"])
    assert reply["success"], reply
    os.kill(child(p), what)
    start = time.time()
    finished, _ = p.call("FinishPipe", reply["pipeid"])
    assert not finished["success"], finished
    assert time.time() - start < 15, "too late"
    print(what.name, finished["error"])
    for fd in fds:
        os.close(fd)
    again, none = p.call("GetManifest", image)  # that image is lost, and said to be
    assert not again["success"] and not none, again
    works(p, native)
    works(p, foreign)  # by a new one
    assert p.close() == 0

# A client that only reads: nobody waits for an answer, and still it is no wait for ever. A raw blob that
# stops has its error.
for what in (signal.SIGSTOP, signal.SIGKILL):
    for method in ("GetBlob", "GetRawBlob"):
        p = Proxy(argv + ["--command-timeout", "2s"])
        image = p.open(foreign)
        layer = max(p.layers(image), key=lambda x: x["size"])
        reply, fds = p.call(method, image, layer["digest"], *[layer["size"]] * (method == "GetBlob"))
        assert reply["success"], reply
        full(fds[0])
        os.kill(child(p), what)
        start = time.time()
        assert len(drain(fds[0])) < layer["size"]
        if method == "GetBlob":
            error = p.call("FinishPipe", reply["pipeid"])[0]
            assert not error["success"], error
        else:
            error = json.loads(drain(fds[1]))
        assert time.time() - start < 15, "too late"
        print(what.name, method, error)
        works(p, native)
        works(p, foreign)
        assert p.close() == 0

# Its end is no error where all has been sent: a client may take its time.
p = Proxy(argv + ["--command-timeout", "1s"])
image = p.open(foreign)
layer = min(p.layers(image), key=lambda x: x["size"])
data, error, _ = p.raw_blob(image, layer["digest"])
assert sha256(data) == layer["digest"] and error is None, error
time.sleep(3)
works(p, foreign)
assert p.value("GetManifest", image)
# And what skopeo itself says of a raw blob comes as it is.
reply, fds = p.call("GetRawBlob", image, max(p.layers(image), key=lambda x: x["size"])["digest"])
os.close(fds[0])
assert json.loads(drain(fds[1]))["code"] == "EPIPE"
assert p.close() == 0

# A pipe of the one that is gone: no verdict over it by the next one, which has the same numbers.
p = Proxy(argv)
image = p.open(foreign)
layer = max(p.layers(image), key=lambda x: x["size"])
old, fds = p.call("GetBlob", image, layer["digest"], layer["size"])
assert old["success"], old
os.kill(child(p), signal.SIGKILL)
assert not p.call("GetManifest", image)[0]["success"]
image = p.open(foreign)
small = min(p.layers(image), key=lambda x: x["size"])
new, more = p.call("GetBlob", image, small["digest"], small["size"])
assert new["success"], new
finished, _ = p.call("FinishPipe", old["pipeid"])
assert not finished["success"], finished
with os.fdopen(more[0], "rb") as f:
    assert sha256(f.read(small["size"])) == small["digest"]
finished, _ = p.call("FinishPipe", new["pipeid"])
assert finished["success"], finished
assert p.close() == 0

# A raw blob that is made of its GetBlob, and that the client takes only when the next one runs.
p = Proxy(argv)
image = p.open(foreign)
layer = max(p.layers(image), key=lambda x: x["size"])
reply, fds = p.call("GetRawBlob", image, layer["digest"])
assert reply["success"], reply
full(fds[0])
os.kill(child(p), signal.SIGKILL)
assert not p.call("GetManifest", image)[0]["success"]
works(p, foreign)
with os.fdopen(fds[0], "rb") as data, os.fdopen(fds[1], "rb") as error:
    assert len(data.read()) < layer["size"]
    assert json.loads(error.read())["message"]
works(p, foreign)
assert p.close() == 0
