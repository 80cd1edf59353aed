# SPDX-License-Identifier: Apache-2.0
"""A reader of splitfdstreams: the stream as a file object, its descriptors over a Unix socket. The
rules are those of splitfd-get-layer(1). Nothing but the standard library."""
import array
import os
import socket
import stat
import struct

INLINE_MAX = 256 * 1024 * 1024
FDS_MAX = 253


def receive(channel):
    """One message of the channel: 1 to 253 descriptors."""
    fds = array.array("i")
    _, messages, flags, _ = channel.recvmsg(64, socket.CMSG_SPACE(FDS_MAX * fds.itemsize),
                                            socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in messages:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or not fds:
        for fd in fds:
            os.close(fd)
        raise ValueError("the channel of the descriptors ended, or a message was cut")
    return list(fds)


def exactly(stream, n):
    data = stream.read(n)
    if len(data) != n:
        raise ValueError("the stream ends too early")
    return data


def copy_file(fd, out):
    """A file's content. Not by its offset, which is shared with the producer."""
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise ValueError("a descriptor is no regular file")
    at = 0
    while data := os.pread(fd, 1 << 20, at):
        out.write(data)
        at += len(data)
    if at != info.st_size:
        raise ValueError("a file changed while it was read")


def convert(stream, channel, out, on_file=None):
    """The stream as a tar into `out`; on_file is called with each descriptor. How many came."""
    queue, expected = [], 0
    while prefix := stream.read(8):
        if len(prefix) != 8:
            raise ValueError("the stream ends inside a prefix")
        k, = struct.unpack("<q", prefix)
        if k < 0:
            if -k > INLINE_MAX:
                raise ValueError("an inline chunk of %d bytes" % -k)
            out.write(exactly(stream, -k))
            continue
        if k != expected:
            raise ValueError("index %d where %d has to come" % (k, expected))
        expected += 1
        if not queue:
            queue = receive(channel)
        fd = queue.pop(0)
        try:
            copy_file(fd, out)
            if on_file:
                on_file(expected - 1, fd)
        finally:
            os.close(fd)
    if queue:
        raise ValueError("more descriptors than the stream refers to")
    return expected
