#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Silent clients make room: serve-crowd.py SOCKET PID varlink DIFFID [REPOSITORY] | jsonrpc IMAGE

The service was started with --max-clients=20. A thousand clients that stay connected are there when one
comes that wants something. Who has a layer under way is closed last; and a layer that was asked for
outlives the connection: its keepalive alone says how long it is wanted."""
import fcntl
import json
import os
import socket
import sys
import time

from varlink_client import Connection, rebuild

path, pid, protocol, what, *repository = sys.argv[1:]
OCI = "org.composefs.Oci."
HANDLE = 0
if repository:
    opener = Connection(path)
    HANDLE = opener.open(repository[0])
    opener.close()


def state():
    threads = int(open(f"/proc/{pid}/status").read().split("Threads:")[1].split()[0])
    return len(os.listdir(f"/proc/{pid}/fd")), threads


def settled(want):
    for _ in range(200):
        if state() == want:
            break
        time.sleep(0.05)
    return state()


class Varlink:
    """A client that asked for a layer and has not read it."""
    question = b'{"method":"org.composefs.Oci.GetInfo"}\0'

    def __init__(self):
        self.c = Connection(path)
        reply, self.fds = self.c.call(OCI + "GetLayer", {"handle": HANDLE, "params": {"diff_id": what}})
        self.dirs = reply["parameters"]["dir_count"]

    def is_there(self):
        return self.c.call(OCI + "GetInfo")[0]["parameters"]["features"]

    def read(self):
        """All of it; the keepalive stays."""
        assert rebuild(self.fds[0], self.fds[1:1 + self.dirs])[0] == what
        for fd in self.fds[1:1 + self.dirs]:
            os.close(fd)
        self.fds = self.fds[1 + self.dirs:]

    def end(self):
        self.c.close()
        for fd in self.fds:
            os.close(fd)


class Jsonrpc:
    question = b'{"jsonrpc":"2.0","method":"Nope","params":{},"id":1}'

    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60)
        self.s.connect(path)
        layer = self.call("GetImage", {"imageId": what})["result"]["layerDigests"][-1]
        self.s.send(self.request("GetSplitFDStream", {"layerId": layer}))

    def request(self, method, params):
        return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()

    def call(self, method, params):
        self.s.send(self.request(method, params))
        return json.loads(self.s.recv(1 << 20))

    def is_there(self):
        return True  # the service is in the middle of its answer

    def read(self):
        data, count = b"", 0
        while not data.rstrip().endswith(b"}") or count < json.loads(data)["fds"]:
            some, fds, _, _ = socket.recv_fds(self.s, 65536, 253)
            assert some, "the service closed in the middle of an answer"
            data += some
            count += len(fds)
            for fd in fds:
                os.close(fd)
        answer = json.loads(data)
        assert answer["result"]["streamSize"] > 0 and answer["fds"] == count, answer

    def end(self):
        self.s.close()


Client = {"varlink": Varlink, "jsonrpc": Jsonrpc}[protocol]


def crowd(n):
    """Silent from the start, in the middle of a message, and after a call; all of them stay."""
    sockets = []
    for i in range(n):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        try:
            s.send([b"", b'{"method', Client.question][i % 3])
        except BrokenPipeError:
            pass  # made room already
        sockets.append(s)
    return sockets


def served():
    c = Client()
    c.read()
    c.end()


served()
for _ in range(20):  # threads of a client that has left
    before = state()
    time.sleep(0.05)
first = Client()
silent = crowd(1000)
served()
assert state()[1] <= before[1] + 20 + 2, (before, state())
assert first.is_there()
first.read()
if protocol == "varlink" and not repository:
    # Now it is one of the silent ones.
    for s in silent:
        s.close()
    silent = crowd(50)
    served()
    assert first.c.receive() == (None, [])
if repository:
    lock = os.open(repository[0], os.O_RDONLY)
    for s in silent:
        s.close()
    silent = []
    first.c.close()
    served()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise AssertionError("garbage collection is not kept away")
    except BlockingIOError:
        pass
first.end()
if repository:
    fcntl.flock(lock, fcntl.LOCK_EX)  # or the test's time is over
    os.close(lock)
for s in silent:
    s.close()
served()
assert settled(before) == before, (before, state())
