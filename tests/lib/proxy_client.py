# SPDX-License-Identifier: Apache-2.0
"""A client of the image proxy, standard library only. See contrib/proposal.md and skopeo's manual."""
import array
import hashlib
import json
import os
import socket
import subprocess
import threading


class ProxyError(Exception):
    pass


class Proxy:
    def __init__(self, argv, initialize=True, timeout=120, **popen):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock = ours
        self.sock.settimeout(timeout)
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=subprocess.DEVNULL, **popen)
        theirs.close()
        self.version = self.value("Initialize") if initialize else None

    def raw(self, packet, fds=()):
        """One packet out, one reply and its descriptors in."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([packet], ancillary)
        data, anc, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(64 * 4))
        got = array.array("i")
        for level, kind, body in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                got.frombytes(body[: len(body) - len(body) % got.itemsize])
        if not data:
            raise EOFError("the proxy has closed")
        return json.loads(data), list(got)

    def call(self, method, *args, fds=()):
        return self.raw(json.dumps({"method": method, "args": list(args)}).encode(), fds)

    def value(self, method, *args):
        reply, fds = self.call(method, *args)
        for fd in fds:
            os.close(fd)
        if not reply["success"]:
            raise ProxyError(reply["error"])
        return reply["value"]

    def open(self, reference):
        return self.value("OpenImage", reference)

    def piped(self, method, *args):
        """The content of a numbered pipe, and the reply. Reads and finishes at once."""
        reply, fds = self.call(method, *args)
        if not reply["success"]:
            raise ProxyError(reply["error"])
        assert len(fds) == 1 and reply["pipeid"] != 0, reply
        parts = []
        reader = threading.Thread(target=lambda: parts.append(drain(fds[0])))
        reader.start()
        finished, none = self.call("FinishPipe", reply["pipeid"])
        reader.join()
        assert not none
        if not finished["success"]:
            raise ProxyError(finished["error"])
        return parts[0], reply

    def blob(self, image, digest, size):
        return self.piped("GetBlob", image, digest, size)[0]

    def raw_blob(self, image, digest):
        """Content and error of a raw blob."""
        reply, fds = self.call("GetRawBlob", image, digest)
        if not reply["success"]:
            raise ProxyError(reply["error"])
        assert len(fds) == 2 and reply["pipeid"] == 0, reply
        data = drain(fds[0])
        error = drain(fds[1])
        return data, json.loads(error) if error else None, reply["value"]

    def layers(self, image):
        return json.loads(self.piped("GetLayerInfoPiped", image)[0])

    def close(self):
        """Ends the session; the exit status."""
        self.sock.close()
        return self.process.wait(timeout=30)


def drain(fd):
    with os.fdopen(fd, "rb") as f:
        return f.read()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()
