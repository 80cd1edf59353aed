#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A layer through the image proxy's GetLayerSplitfd, as a tar on standard output.

    proxy-get-layer.py [--skopeo PROGRAM] [--clone DIR] IMAGE [LAYER-NUMBER] > layer.tar

PROGRAM is splitfd under the name of skopeo (default: skopeo). With --clone every file is also cloned
into DIR under its index: on the store's file system no byte is copied for it. The messages are those
of proposal.md.
"""
import argparse
import array
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys

from splitfd_stream import convert

FICLONE = 0x40049409
PACKET_MAX = 32 * 1024


class Proxy:
    def __init__(self, program):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([program, "experimental-image-proxy"], stdin=theirs,
                                        stdout=subprocess.DEVNULL)
        theirs.close()
        self.call("Initialize")

    def call(self, method, *args):
        """The reply's value, its pipeid and its descriptors."""
        self.socket.send(json.dumps({"method": method, "args": args}).encode())
        fds = array.array("i")
        data, messages, _, _ = self.socket.recvmsg(PACKET_MAX, socket.CMSG_SPACE(4 * fds.itemsize),
                                                   socket.MSG_CMSG_CLOEXEC)
        for level, kind, body in messages:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(body[:len(body) - len(body) % fds.itemsize])
        reply = json.loads(data)
        if not reply["success"]:
            raise SystemExit("%s: %s" % (method, reply["error"]))
        return reply["value"], reply["pipeid"], list(fds)

    def close(self):
        self.socket.close()
        return self.process.wait()


class Hashed:
    """An output with the sha256 of what went through it."""

    def __init__(self, out):
        self.out, self.digest = out, hashlib.sha256()

    def write(self, data):
        self.digest.update(data)
        self.out.write(data)


def clone_into(directory):
    def clone(index, fd):
        with open(os.path.join(directory, str(index)), "wb") as f:
            fcntl.ioctl(f, FICLONE, fd)
    return clone


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--skopeo", default="skopeo")
    parser.add_argument("--clone")
    parser.add_argument("image")
    parser.add_argument("layer", nargs="?", type=int, default=0)
    options = parser.parse_args()
    proxy = Proxy(options.skopeo)
    image, _, _ = proxy.call("OpenImage", options.image)
    layer = proxy.call("GetLayerInfo", image)[0][options.layer]
    _, pipe, fds = proxy.call("GetLayerSplitfd", image, layer["digest"])
    out = Hashed(sys.stdout.buffer)
    with open(fds[0], "rb") as stream, socket.socket(fileno=fds[1]) as channel:
        n = convert(stream, channel, out, clone_into(options.clone) if options.clone else None)
    # The stream's end is not success: FinishPipe tells, and the digest.
    proxy.call("FinishPipe", pipe)
    sys.stdout.buffer.flush()
    if "sha256:" + out.digest.hexdigest() != layer["digest"]:
        raise SystemExit("the layer has another digest than " + layer["digest"])
    print("%s: %d files by descriptor" % (layer["digest"], n), file=sys.stderr)
    return proxy.close()


sys.exit(main())
