#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads `get-layer … all` by the man page alone: wire-all.py FORMAT SPLITFD get-layer OPTION… IMAGE all

Prints the diff_id of each layer, after comparing it with the sha256 of what its stream stands for.
"""
import array
import hashlib
import io
import os
import socket
import stat
import struct
import subprocess
import sys


def receive(channel):
    fds = array.array("i")
    _, messages, flags, _ = channel.recvmsg(64, socket.CMSG_SPACE(253 * fds.itemsize))
    for level, kind, data in messages:
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        fds.frombytes(data)
    assert fds and not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
    return list(fds)


def whole(fd, mode):
    info = os.fstat(fd)
    assert stat.S_ISREG(info.st_mode) == (mode == "file")
    data = os.pread(fd, info.st_size + 1, 0)
    os.close(fd)
    assert len(data) == info.st_size
    return data


def splitfdstream(stream, channel, queue):
    expected = 0
    while prefix := stream.read(8):
        k, = struct.unpack("<q", prefix)
        if k < 0:
            yield stream.read(-k)
            continue
        assert k == expected
        expected += 1
        if not queue:
            queue += receive(channel)
        yield whole(queue.pop(0), "file")


def splitdirfdstream(stream, channel, queue):
    dirs = []
    while kind := stream.read(1):
        if kind in b"\0\1":
            n, = struct.unpack("<I", stream.read(4))
            yield stream.read(n)
            continue
        assert kind == b"\2"
        size, d, n = struct.unpack("<QII", stream.read(16))
        name = stream.read(n)
        while d >= len(dirs):
            if not queue:
                queue += receive(channel)
            dirs.append(queue.pop(0))
        data = whole(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dirs[d]), "file")
        assert len(data) == size
        yield data
    for d in dirs:
        os.close(d)


def tar(stream, channel, queue):
    yield stream.read()


def main():
    fmt, command = sys.argv[1], sys.argv[2:]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    extra = ["--format=" + fmt] + ([] if fmt == "tar" else ["--fds=%d" % theirs.fileno()])
    child = subprocess.Popen(command[:2] + extra + command[2:], stdout=subprocess.PIPE,
                             pass_fds=(theirs.fileno(),))
    theirs.close()

    def frame():
        n, = struct.unpack("<I", child.stdout.read(4))
        return child.stdout.read(n)

    read = {"splitfdstream": splitfdstream, "splitdirfdstream": splitdirfdstream, "tar": tar}[fmt]
    queue = []
    while name := frame():
        # A layer here is small: its stream is collected, and read when it is whole.
        stream, h = io.BytesIO(), hashlib.sha256()
        while part := frame():
            stream.write(part)
        stream.seek(0)
        for data in read(stream, ours, queue):
            h.update(data)
        # Directories of a layer may have come that no chunk names.
        for fd in queue:
            os.close(fd)
        assert fmt == "splitdirfdstream" or not queue
        queue.clear()
        assert name.decode() == "sha256:" + h.hexdigest(), name
        print(name.decode())
    assert child.stdout.read() == b""
    sys.exit(child.wait())


main()
