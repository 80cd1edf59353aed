#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every layer of an image by GetLayerSplitfd, in all formats, and compares its sha256 with the
diff_id. proxy-splitfd.py REFERENCE PROGRAM…"""
import array
import hashlib
import json
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, drain  # noqa: E402


def receive(channel, fds, arrived):
    """Descriptors, in index order, until the channel ends."""
    while True:
        data, anc, flags, _ = channel.recvmsg(16, socket.CMSG_SPACE(253 * 4))
        assert not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
        with arrived:
            for _, _, body in anc:
                a = array.array("i")
                a.frombytes(body)
                fds += a
            if not data:
                fds.append(None)
            arrived.notify_all()
        if not data:
            return


def whole(fd, size):
    data = b""
    while len(data) < size:
        data += os.pread(fd, size - len(data), len(data))
    return data


def splitfdstream(data, fds):
    at = 0
    while at < len(data):
        (n,) = struct.unpack_from("<q", data, at)
        at += 8
        if n < 0:
            yield data[at:at - n]
            at -= n
        else:
            assert os.stat(fds[n]).st_size > 0
            yield whole(fds[n], os.stat(fds[n]).st_size)
            os.close(fds[n])


def splitdirfdstream(data, fds):
    at = 0
    while at < len(data):
        kind = data[at]
        at += 1
        if kind in (0, 1):
            (n,) = struct.unpack_from("<I", data, at)
            yield data[at + 4:at + 4 + n]
            at += 4 + n
        else:
            assert kind == 2
            size, index, n = struct.unpack_from("<QII", data, at)
            name = data[at + 16:at + 16 + n]
            at += 16 + n
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fds[index])
            assert os.stat(fd).st_size == size
            yield whole(fd, size)
            os.close(fd)


def main():
    proxy = Proxy(sys.argv[2:])
    image = proxy.open(sys.argv[1])
    named = json.loads(proxy.piped("GetManifest", image)[0])["layers"]
    for digest, layer in zip((x["digest"] for x in named), proxy.layers(image)):
        if digest != layer["digest"]:
            print(digest, "is another digest in the manifest")
        for options, reader in (({}, splitfdstream), ({"inline_max": 0}, splitfdstream),
                                ({"format": "splitdirfdstream"}, splitdirfdstream),
                                ({"format": "splitdirfdstream", "consumer_has_cap_dac_override": True},
                                 splitdirfdstream)):
            reply, got = proxy.call("GetLayerSplitfd", image, digest, options)
            assert reply["success"] and reply["pipeid"] and len(got) == 2, reply
            fds, arrived = [], threading.Condition()
            channel = socket.socket(fileno=got[1])
            t = threading.Thread(target=receive, args=(channel, fds, arrived))
            t.start()
            data = drain(got[0])
            assert proxy.value("FinishPipe", reply["pipeid"]) is None
            t.join()
            channel.close()
            tar = hashlib.sha256()
            for part in reader(data, fds):
                tar.update(part)
            assert "sha256:" + tar.hexdigest() == layer["digest"], (layer, options)
            assert len(data) < layer["size"] or layer["size"] < 4096 or layer["size"] < 200000, (len(data), layer)
            print(layer["digest"], options, len(data), "bytes,", len(fds) - 1, "descriptors")
    refuse(proxy, image, digest)
    return proxy.close()


def refuse(proxy, image, digest):
    """Arguments that are none."""
    for args, why in (([], "found 0 args"), ([image], "found 1 args"), ([image, digest, {}, 1], "found 4 args"),
                      ([image, 5], "expecting string digest"), (["x", digest], "expecting numeric"), ([99, digest], "no image 99"),
                      ([image, "x"], "invalid checksum"), ([image, "sha256:" + "0" * 64], "no such layer"),
                      ([image, digest, []], "expecting an object"), ([image, digest, {"format": "tar"}], "format"),
                      ([image, digest, {"inline_max": 1 << 29}], "inline_max"), ([image, digest, {"more": 1}], "not known")):
        reply, fds = proxy.call("GetLayerSplitfd", *args)
        assert not reply["success"] and not fds and why in reply["error"] and reply["error_code"] == "other", (args, reply)


sys.exit(main())
