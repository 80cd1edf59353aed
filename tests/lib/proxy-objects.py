#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes a repository's objects directory to GetLayerSplitfd for every layer of an image, and imports
what comes. proxy-objects.py REFERENCE REPOSITORY ALGORITHM SPLITFD PROGRAM…"""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, drain  # noqa: E402

reference, repository, algorithm, splitfd = sys.argv[1:5]
argv = sys.argv[5:]
wanted = {"objects": True, **({"algorithm": algorithm} if algorithm != "sha512" else {})}
os.makedirs(repository + "/objects", exist_ok=True)
objects = os.open(repository + "/objects", os.O_PATH | os.O_DIRECTORY)
proxy = Proxy(argv)
image = proxy.open(reference)
layers = proxy.layers(image)


def start(options, fds):
    return proxy.call("GetLayerSplitfd", image, layers[0]["digest"], options, fds=fds)


def refused(options, fds, why):
    reply, got = start(options, fds)
    assert not reply["success"] and not got and why in reply["error"], reply


refused({"objects": True}, [], "descriptor")
refused({"objects": 1}, [objects], "true or false")
refused({"objects": True, "format": "splitfdstream"}, [objects], "goes with")
refused({"objects": True, "inline_max": 5}, [objects], "goes with")
refused({"objects": True, "algorithm": "md5"}, [objects], "sha512 or sha256")
refused({"format": "splitstream"}, [objects], "goes with")
refused({"algorithm": "sha256"}, [objects], "goes with")

for layer in layers:
    for _ in range(2):  # the second time everything is there already
        reply, fds = proxy.call("GetLayerSplitfd", image, layer["digest"], wanted, fds=[objects])
        assert reply["success"] and reply["pipeid"] and len(fds) == 2, reply
        stream = drain(fds[0])
        channel = socket.socket(fileno=fds[1])
        assert channel.recv(100) == b""  # no descriptors
        channel.close()
        assert proxy.value("FinishPipe", reply["pipeid"]) is None
    subprocess.run([splitfd, "import-layer", "--format=splitstream", "--repo", repository, layer["digest"]],
                   input=stream, check=True, stdout=subprocess.DEVNULL)

before = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
# Not a directory: the worker says it.
null = os.open("/dev/null", os.O_RDONLY)
reply, fds = start({"objects": True}, [null])
assert drain(fds[0]) == b""
os.close(fds[1])
finished, _ = proxy.call("FinishPipe", reply["pipeid"])
assert not finished["success"] and "not a directory" in finished["error"], finished
# A client that goes away.
reply, fds = start(wanted, [objects])
for fd in fds:
    os.close(fd)
finished, _ = proxy.call("FinishPipe", reply["pipeid"])
assert not finished["success"] and finished["error_code"] == "EPIPE", finished
assert len(os.listdir(f"/proc/{proxy.process.pid}/fd")) == before
sys.exit(proxy.close())
