#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An image is removed while its blobs are sent: proxy-removed.py SPLITFD STORE REMOVING-COMMAND…

Half of the largest blob is read, then the command runs, then the rest is read: a reply that says so, or
the whole blob. Of a layer that is only then asked for there is nothing, for the same reason."""
import hashlib
import os
import subprocess
import sys

from proxy_client import Proxy

splitfd, store, *remove = sys.argv[1:]
REASONS = ("the layer was removed while it was read", "removed from the store meanwhile")

proxy = Proxy([splitfd, "experimental-image-proxy"])
image = proxy.open("containers-storage:[overlay@%s/root+%s/run]localhost/three" % (store, store))
layers = proxy.value("GetLayerInfo", image)
largest = max(layers, key=lambda layer: layer["size"])
other = next(layer for layer in layers if layer is not largest)
reply, fds = proxy.call("GetBlob", image, largest["digest"], largest["size"])
assert reply["success"], reply
half = largest["size"] // 2
got = b""
while len(got) < half:
    got += os.read(fds[0], half - len(got))
subprocess.run(remove, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
while len(got) < largest["size"]:
    more = os.read(fds[0], 1 << 20)
    if not more:
        break
    got += more
os.close(fds[0])
reply, _ = proxy.call("FinishPipe", reply["pipeid"])
print(reply)
whole = "sha256:" + hashlib.sha256(got).hexdigest() == largest["digest"]
assert whole if reply["success"] else any(r in reply["error"] for r in REASONS), reply
reply, fds = proxy.call("GetBlob", image, other["digest"], other["size"])
print(reply)
assert not reply["success"] and any(r in reply["error"] for r in REASONS), reply
