# SPDX-License-Identifier: Apache-2.0
"""A varlink connection, as bare as the wire: for tests that have to send what no client would."""
import array
import hashlib
import json
import os
import socket
import struct


class Connection:
    def __init__(self, target, timeout=60):
        """`target`: the path of a service, or a connected socket."""
        if isinstance(target, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(target)
        else:
            self.sock = target
            self.sock.settimeout(timeout)
        self.buffer = b""
        self.pending = []

    def send(self, message, fds=()):
        """An object, or bytes as they are (with the NUL, if there is to be one)."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\0"
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], extra)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def receive(self):
        """The next message and the descriptors that came with it; (None, []) at the end."""
        while b"\0" not in self.buffer:
            data, extra, flags, _ = self.sock.recvmsg(65536, 4096)
            for level, kind, value in extra:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds = array.array("i")
                fds.frombytes(value)
                self.pending += list(fds)
            assert not flags & socket.MSG_CTRUNC
            if not data:
                assert not self.buffer, "the service closed in the middle of a message"
                return None, []
            self.buffer += data
        frame, self.buffer = self.buffer.split(b"\0", 1)
        fds = []
        # Descriptors belong to the last message of the read that brought them.
        if b"\0" not in self.buffer:
            fds, self.pending = self.pending, []
        return json.loads(frame), fds

    def call(self, method, parameters=None, fds=(), **flags):
        """One call, one reply: (reply, descriptors)."""
        message = {"method": method, **flags}
        if parameters is not None:
            message["parameters"] = parameters
        try:
            self.send(message, fds)
        except BrokenPipeError:
            pass  # a service that refuses the client answers, and closes, before it is asked
        return self.receive()

    def call_more(self, method, parameters=None, fds=()):
        """All replies of a call with `more`: a list of (reply, descriptors)."""
        replies = [self.call(method, parameters, fds, more=True)]
        while replies[-1][0] is not None and replies[-1][0].get("continues"):
            replies.append(self.receive())
        return replies

    def open(self, path):
        """A handle of the repository, good for every connection of the service."""
        reply, _ = self.call("org.composefs.Repository.OpenRepository", {"path": path})
        assert "error" not in reply, reply
        return reply["parameters"]["handle"]

    def close(self):
        self.sock.close()


def read_exactly(stream, n):
    data = stream.read(n)
    assert len(data) == n, "the stream is cut"
    return data


def rebuild(stream_fd, dirs):
    """The tar of a splitdirfdstream, by the directories that came with it; kinds of its chunks."""
    tar, kinds = hashlib.sha256(), [0, 0, 0]
    with os.fdopen(stream_fd, "rb") as stream:
        while True:
            kind = stream.read(1)
            if not kind:
                return "sha256:" + tar.hexdigest(), kinds
            assert kind[0] <= 2, "no type of chunk: %d" % kind[0]
            kinds[kind[0]] += 1
            if kind[0] < 2:
                (n,) = struct.unpack("<I", read_exactly(stream, 4))
                tar.update(read_exactly(stream, n))
                continue
            size, index, n = struct.unpack("<QII", read_exactly(stream, 16))
            name = read_exactly(stream, n)
            assert not name.startswith(b"/") and b".." not in name.split(b"/")
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dirs[index])
            with os.fdopen(fd, "rb") as f:
                data = f.read()
            assert len(data) == size
            tar.update(data)


def get_layer(connection, handle=0, more=False, **params):
    """GetLayer: (digest of the tar, kinds of chunks); or the error reply."""
    arguments = {"handle": handle, "params": params}
    if more:
        replies = connection.call_more("org.composefs.Oci.GetLayer", arguments)
    else:
        replies = [connection.call("org.composefs.Oci.GetLayer", arguments)]
    if "error" in replies[0][0]:
        return replies[0][0]
    fds = [fd for _, some in replies for fd in some]
    count = {reply["parameters"]["dir_count"] for reply, _ in replies}
    assert len(count) == 1
    n = count.pop()
    assert len(fds) >= n + 2
    try:
        return rebuild(fds[0], fds[1 : 1 + n])
    finally:
        for fd in fds[1:]:
            os.close(fd)
