#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service of container-libs' JSON-RPC dialect that passes on what another one says, but for one lie.
  jsonrpc-liar.py SOCKET UPSTREAM LIE      serves one client
LIE: none, manifest, config, order, less-layers, content, swap, one-fd-less, one-fd-more, fifo, write-only, size,
no-size, stream, prefix, index, no-answer, other-id, error-text, closes."""
import array
import json
import os
import socket
import struct
import sys

PATH, UPSTREAM, LIE = sys.argv[1:4]


def receive(s):
    """A message and its descriptors."""
    data, fds, message = b"", [], None
    while message is None or len(fds) < message.get("fds", 0):
        more, anc, _, _ = s.recvmsg(1 << 20, socket.CMSG_SPACE(253 * 4))
        if not more:
            return None, []
        data += more
        for _, _, raw in anc:
            fds += array.array("i", raw)
        try:
            message = json.loads(data)
        except ValueError:
            pass
    return message, fds


def send(s, message, fds):
    text = json.dumps(message).encode()
    for at in range(0, max(len(fds), 1), 100):
        some = array.array("i", fds[at:at + 100])
        s.sendmsg([text if at == 0 else b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)] if some else [])


def memfd(data):
    fd = os.memfd_create("lie")
    os.write(fd, data)
    return fd


def stream_of(fd):
    return os.pread(fd, os.fstat(fd).st_size, 0)


def lie_image(result):
    if LIE == "manifest":
        result["manifest"] = result["manifest"].replace("sha256:", "sha256:0", 1)
    elif LIE == "config":
        result["config"] += " "
    elif LIE == "order":
        result["layerDigests"].reverse()
    elif LIE == "less-layers":
        result["layerDigests"].pop()


def lie_layer(result, fds):
    """The descriptors instead; result is changed in place."""
    stream = stream_of(fds[0])
    if LIE == "content":
        fds[1] = memfd(b"x" * os.fstat(fds[1]).st_size)
    elif LIE == "swap":
        fds[1], fds[2] = fds[2], fds[1]
    elif LIE == "one-fd-less":
        fds.pop()
    elif LIE == "one-fd-more":
        fds.append(memfd(b"more"))
    elif LIE == "fifo":
        fds[1] = os.pipe()[0]
    elif LIE == "write-only":
        fds[1] = os.open(f"/proc/self/fd/{memfd(b'x' * os.fstat(fds[1]).st_size)}", os.O_WRONLY)
    elif LIE == "size":
        result["streamSize"] += 1
    elif LIE == "no-size":
        del result["streamSize"]
    elif LIE == "stream":
        fds[0] = os.pipe()[0]
    elif LIE in ("prefix", "index"):
        stream += struct.pack("<q", -(1 << 40) if LIE == "prefix" else 1 << 40)
        fds[0] = memfd(stream)
        result["streamSize"] = len(stream)
    return fds


def main():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(PATH)
    listener.listen()
    client, _ = listener.accept()
    upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    upstream.connect(UPSTREAM)
    while True:
        request, _ = receive(client)
        if request is None or LIE == "closes":
            return
        send(upstream, request, [])
        answer, fds = receive(upstream)
        if LIE == "no-answer":
            receive(client)  # until it has given up
            return
        if LIE == "other-id":
            answer["id"] = 99
        if LIE == "error-text":
            answer = {"error": {"code": -32000, "message": "\x1b[31mbad\n" + "x" * 5000}, "id": request["id"]}
        elif request["method"] == "GetImage":
            lie_image(answer["result"])
        else:
            fds = lie_layer(answer["result"], fds)
        answer.pop("fds", None)
        if fds:
            answer["fds"] = len(fds)
        send(client, answer, fds)
        for fd in fds:
            os.close(fd)


try:
    main()
except (BrokenPipeError, ConnectionResetError):
    pass
