#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GetBlob and GetRawBlob of a layer whose files are not, or do not stay, what they should be.
  proxy-damage.py REFERENCE DIFF PROGRAM…
The first layer's files are below DIFF: usr/a-large, small ones, usr/z-4 at the end."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, drain, sha256  # noqa: E402

reference, diff, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
proxy = Proxy(argv)
image = proxy.open(reference)
layer = proxy.layers(image)[0]
LARGE = f"{diff}/usr/a-large"


def change(name, at):
    """Changes one byte; the result changes it back."""
    fd = os.open(f"{diff}/{name}", os.O_RDWR)
    byte = os.pread(fd, 1, at)
    os.pwrite(fd, bytes([byte[0] ^ 1]), at)

    def back():
        os.pwrite(fd, byte, at)
        os.close(fd)
    return back


def read(fd, n):
    while n > 0:
        n -= len(os.read(fd, min(n, 65536)))


def blob(raw, during):
    """The error of one blob, or None. `during` runs when 2.5 MB of the 6 MB file have been read."""
    args = [image, layer["digest"]] if raw else [image, layer["digest"], layer["size"]]
    reply, fds = proxy.call("GetRawBlob" if raw else "GetBlob", *args)
    assert reply["success"], reply
    if during:
        read(fds[0], 2500000)
        time.sleep(0.1)  # the server fills the pipe
        during()
    # GetBlob's pipe ends at FinishPipe, which waits for the reader.
    rest = threading.Thread(target=drain, args=(fds[0],))
    rest.start()
    if raw:
        error = drain(fds[1]).decode() or None
    else:
        finished, _ = proxy.call("FinishPipe", reply["pipeid"])
        error = None if finished["success"] else finished["error"]
    rest.join()
    return error


def expect(what, *words, during=None, after=lambda: None):
    for raw in False, True:
        error = blob(raw, during)
        after()
        print(f"{what}: {error}")
        assert error is not None and any(w in error for w in words), what
    well()


def well():
    for raw in False, True:
        error = blob(raw, None)
        assert error is None, error


well()
for name, at in (("usr/a-large", 0), ("usr/a-large", 5999999), ("usr/small-200", 3), ("usr/z-1", 299999),
                 ("usr/z-4", 299999)):
    back = change(name, at)
    for raw in False, True:
        error = blob(raw, None)
        assert error is not None and "integrity checksum failed" in error, (name, at, error)
    back()
    well()

undo = []
for at in 0, 5999999:  # what has been sent already, and what has not
    expect(f"byte {at} changed meanwhile", "integrity checksum failed", "changed",
           during=lambda: undo.append(change("usr/a-large", at)), after=lambda: undo.pop()())
expect("changed and changed back meanwhile", "changed", during=lambda: change("usr/a-large", 3000000)())

with open(LARGE, "rb") as f:
    content = f.read()


def restore():
    with open(LARGE, "r+b") as f:
        f.write(content)


expect("shortened meanwhile", "shorter", "read", "changed", during=lambda: os.truncate(LARGE, 5000000), after=restore)

os.rename(f"{diff}/usr/z-4", f"{diff}/usr/gone")
for raw in False, True:
    error = blob(raw, None)
    assert error is not None and "z-4" in error, error
os.rename(f"{diff}/usr/gone", f"{diff}/usr/z-4")
well()
assert sha256(proxy.blob(image, layer["digest"], layer["size"])) == layer["digest"]
sys.exit(proxy.close())
