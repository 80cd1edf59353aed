#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands between splitfd and a real peer, and misbehaves at the peer's K-th message.

  misbehave.py skopeo LOG K HOW PROGRAM ARGUMENT…   in place of `skopeo experimental-image-proxy`
  misbehave.py varlink|jsonrpc LOG K HOW SOCKET UPSTREAM   a service on SOCKET, for one client
HOW: silent      the message never comes
     half        half of its bytes, and then nothing
     error       an error in its place; the pipes that the peer has closed stay open
     half-pipe   half of what comes through the message's first pipe, which stays open
     open        the message comes, but the pipes that the peer has closed stay open
     stubborn    as silent, and no end of input, SIGTERM or SIGINT ends it
LOG: a line for each message ("message N METHOD"), and "waits" where it has misbehaved."""
import array
import fcntl
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

PROTOCOL, LOG, K, HOW = sys.argv[1], open(sys.argv[2], "a", buffering=1), int(sys.argv[3]), sys.argv[4]
REFUSAL = "the peer says no"


class Gone(Exception):
    pass


def receive(s, n=1 << 20):
    data, ancillary, _, _ = s.recvmsg(n, socket.CMSG_SPACE(253 * 4))
    fds = array.array("i")
    for level, kind, raw in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(raw[: len(raw) // 4 * 4])
    if not data:
        raise Gone
    return data, list(fds)


def send(s, data, fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    done = s.sendmsg([data], rights)
    if done < len(data):
        s.sendall(data[done:])
    for fd in fds:
        os.close(fd)


class Pipes:
    """The peer's pipes go through ours, so that ours can stay open."""

    def __init__(self):
        self.held = []

    def pump(self, source, to, half, hold):
        data = b"x"
        while data:
            data = os.read(source, 65536)
            if half and data:
                os.write(to, data[: len(data) // 2])
                LOG.write("waits\n")
                break
            try:
                at = 0
                while at < len(data):
                    at += os.write(to, data[at:])
            except BrokenPipeError:
                break
        if hold:
            self.held.append(to)  # and `source`, so that the peer does not see an end
            if PROTOCOL != "skopeo":
                LOG.write("waits\n")  # no message comes before this pipe's end
            return
        os.close(source)
        os.close(to)

    def through(self, fds, half=False, hold=False):
        """The descriptors that the client gets; true where a pipe was among them."""
        result, any_pipe = [], False
        for fd in fds:
            reads = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            if not stat.S_ISFIFO(os.fstat(fd).st_mode) or not reads:
                result.append(fd)
                continue
            r, w = os.pipe()
            threading.Thread(target=self.pump, args=(fd, w, half and not any_pipe, hold), daemon=True).start()
            any_pipe = True
            result.append(r)
        return result, any_pipe


def wait_for_end(client):
    LOG.write("waits\n")
    if HOW == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            time.sleep(1000)
    while True:
        receive(client)


def misbehave(client, data, fds, error, pipes):
    """The K-th message. Goes on only where its pipes misbehave."""
    if HOW == "half":
        send(client, data[: max(len(data) // 2, 1)], fds)
    elif HOW == "error":
        send(client, error)
    elif HOW in ("half-pipe", "open"):
        fds, any_pipe = pipes.through(fds, HOW == "half-pipe", True)
        send(client, data, fds)
        if HOW == "open":
            LOG.write("waits\n")
        elif not any_pipe:
            LOG.write("no pipe\n")
        return
    wait_for_end(client)


class Relay:
    def __init__(self, client, peer):
        self.client, self.peer, self.n, self.pipes, self.method = client, peer, 0, Pipes(), "?"
        self.request = {}

    def reply(self, data, fds, error):
        self.n += 1
        LOG.write("message %d %s\n" % (self.n, self.method))
        if self.n == K:
            misbehave(self.client, data, fds, error, self.pipes)
            return
        if self.n == K - 1 and HOW == "error":
            fds, _ = self.pipes.through(fds, hold=True)
        send(self.client, data, fds)

    def run(self):
        while True:
            for s in select.select([self.client, self.peer], [], [])[0]:
                if s is self.client:
                    data, fds = receive(self.client)
                    self.asked(data)
                    send(self.peer, data, fds)
                else:
                    self.answered()


class Skopeo(Relay):
    def asked(self, data):
        self.method = json.loads(data)["method"]

    def answered(self):
        data, fds = receive(self.peer)
        error = {"success": False, "value": None, "pipeid": 0, "error_code": "other", "error": REFUSAL}
        self.reply(data, fds, json.dumps(error).encode())


class Varlink(Relay):
    buffer, fds, asked_data = b"", [], b""

    def asked(self, data):
        self.asked_data += data
        *whole, self.asked_data = self.asked_data.split(b"\0")
        if whole:
            self.method = json.loads(whole[-1])["method"].rsplit(".", 1)[1]

    def answered(self):
        data, fds = receive(self.peer)
        self.buffer += data
        self.fds = self.fds + fds
        error = {"error": "org.composefs.Oci.InternalError", "parameters": {"message": REFUSAL}}
        while b"\0" in self.buffer:
            message, self.buffer = self.buffer.split(b"\0", 1)
            fds, self.fds = self.fds, []
            self.reply(message + b"\0", fds, json.dumps(error).encode() + b"\0")


class JsonRpc(Relay):
    def asked(self, data):
        self.request = json.loads(data)
        self.method = self.request["method"]

    def answered(self):
        data, fds, message = b"", [], None
        while message is None or len(fds) < message.get("fds", 0):
            more, some = receive(self.peer)
            data, fds = data + more, fds + some
            try:
                message = json.loads(data)
            except ValueError:
                pass
        error = {"jsonrpc": "2.0", "error": {"code": -32000, "message": REFUSAL}, "id": self.request["id"]}
        self.reply(data.strip(), fds, json.dumps(error).encode())


def main():
    if PROTOCOL == "skopeo":
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=os.dup(0))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = subprocess.Popen(sys.argv[5:], stdin=theirs, stdout=subprocess.DEVNULL)
        theirs.close()
        try:
            Skopeo(client, ours).run()
        finally:
            ours.close()
            child.wait()
        return
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(sys.argv[5] + ".new")
    listener.listen()
    os.rename(sys.argv[5] + ".new", sys.argv[5])
    client, _ = listener.accept()
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.connect(sys.argv[6])
    {"varlink": Varlink, "jsonrpc": JsonRpc}[PROTOCOL](client, peer).run()


try:
    main()
except (Gone, BrokenPipeError, ConnectionResetError):
    pass
# Pumps may wait for what nobody reads.
os._exit(0)
