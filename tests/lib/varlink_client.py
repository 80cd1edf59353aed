"""A varlink connection, as bare as the wire: for tests that have to send what no client would."""
import array
import json
import socket


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
        self.send(message, fds)
        return self.receive()

    def call_more(self, method, parameters=None, fds=()):
        """All replies of a call with `more`: a list of (reply, descriptors)."""
        replies = [self.call(method, parameters, fds, more=True)]
        while replies[-1][0] is not None and replies[-1][0].get("continues"):
            replies.append(self.receive())
        return replies

    def close(self):
        self.sock.close()
