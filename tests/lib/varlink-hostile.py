#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that do not keep the rules: varlink-hostile.py SOCKET PID DIFFID [REPOSITORY]

The service, of a store or of a repository, was started with --timeout=2 --hold=2 --max-clients=40
--max-layers=8. After each of them it answers as before, and has the descriptors and threads that it
had; at the end the memory, too."""
import array
import fcntl
import json
import os
import select
import socket
import sys
import time

from varlink_client import Connection, get_layer

path, pid, diff_id, *repository = sys.argv[1:]
OCI, SERVICE = "org.composefs.Oci.", "org.varlink.service."
HANDLE = 0
if repository:
    opener = Connection(path)
    HANDLE = opener.open(repository[0])
    opener.close()
LAYER = OCI + "GetLayer", {"handle": HANDLE, "params": {"diff_id": diff_id}}


def state():
    status = open(f"/proc/{pid}/status").read()
    number = lambda key: int(status.split(key + ":")[1].split()[0])
    return len(os.listdir(f"/proc/{pid}/fd")), number("Threads"), number("VmRSS")


def alive():
    c = Connection(path)
    assert get_layer(c, handle=HANDLE, diff_id=diff_id)[0] == diff_id
    c.close()


def settled():
    """The state when clients have gone; threads may take a moment to see it."""
    for _ in range(200):
        now = state()
        if now[:2] == before[:2]:
            break
        time.sleep(0.05)
    return now


def as_before(after):
    """It lives, and holds nothing more."""
    settled()
    alive()
    now = settled()
    assert now[:2] == before[:2], (after, before, now)


def ends(c):
    """Everything until the service closes, which it must do in time."""
    data = b""
    try:
        while some := c.sock.recv(65536):
            data += some
    except ConnectionResetError:
        pass
    return data


def send_until_closed(c, piece, total):
    sent = 0
    try:
        while sent < total:
            sent += c.sock.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


alive()
time.sleep(0.5)
before = state()

# 100 MB in one message; without a NUL; of values; of brackets. An error, and the end.
for piece in [b"x" * 65536, b'{"m":"' + b"x" * 65536, b"[0," * 20000, b"{\"a\":" * 10000, b" " * 65536]:
    c = Connection(path)
    start = time.time()
    sent = send_until_closed(c, piece, 100 << 20)
    assert sent < 60 << 20, sent
    answer = ends(c)
    if answer or time.time() - start < 2:  # where it takes longer, it is given up before it is too long
        assert json.loads(answer.rstrip(b"\0"))["error"] == SERVICE + "InvalidParameter", answer
    c.close()
as_before("100 MB")

# Whole messages that are none: an error each, and the connection lives.
c = Connection(path)
deep = b'{"method":' + b"[" * 100000 + b"]" * 100000 + b"}\0"
wide = b'{"method":"a.B","parameters":{"x":[' + b"0," * 100000 + b"0]}}\0"
for bad in [b"\0", b"{\0", b"null\0", b"[]\0", b'"x"\0', b"{}\0", b'{"method":1}\0', b'{"method":"a.B"\0',
            b'{"method":"a.B","parameters":1}\0', b'{"method":"\xff"}\0', b'{"method":"a\\u0000"}\0', deep, wide,
            b'{"method":"a.B","more":"yes"}\0', b'{"method":"a.B","upgrade":true}\0']:
    c.send(bad)
    reply, _ = c.receive()
    assert reply["error"] == SERVICE + "InvalidParameter", (bad[:40], reply)
for method in ["", ".", "a.", ".b", "x" * 100000 + ".y", "org.composefs.Oci.", "org.composefs.Oci.GetLayer.x"]:
    assert c.call(method)[0]["error"].startswith(SERVICE), method
none = "sha256:" + "0" * 64
for inner in [None, [], 7, "x", {"diff_id": 1}, {"diff_id": []}, {"diff_id": {}}, {"storage": 1}, {"storage": []},
              {"diff_id": diff_id, "consumer_has_cap_dac_override": "yes"}, {"storage": {"storage_path": 1, "layer_id": 2}}]:
    reply, fds = c.call(OCI + "GetLayer", {"handle": HANDLE, "params": inner})
    assert reply["error"] == SERVICE + "InvalidParameter" and not fds, (inner, reply)
for wrong in [None, "0", [], {}, True, 0.5, 1e300]:
    reply, fds = c.call(OCI + "GetLayer", {"handle": wrong, "params": {"diff_id": diff_id}})
    assert reply["error"] == SERVICE + "InvalidParameter" and not fds, (wrong, reply)
for wrong in [-1, 0, 99] if repository else []:
    assert c.call(OCI + "HasLayer", {"handle": wrong, "diff_id": none})[0]["error"] == OCI + "InvalidHandle", wrong
c.close()
as_before("wrong types")

# Descriptors that nobody wants, many of them and again.
null = os.open("/dev/null", os.O_RDONLY)
c = Connection(path)
for n in [1, 10, 253]:
    for _ in range(20):
        reply, _ = c.call(OCI + "GetInfo", None, [null] * n)
        assert reply["parameters"]["features"]
c.close()
c = Connection(path)
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 200))]
try:
    for _ in range(3):
        c.sock.sendmsg([b" "], rights)
except BrokenPipeError:
    pass
ends(c)
c.close()
as_before("too many descriptors")

# Descriptors of every kind, where none is wanted, and as what PutLayer wants: a stream and a directory.
c = Connection(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(b"\0" + os.urandom(8).hex().encode())
listener.listen()
quiet = os.pipe()  # nothing is ever written
ours, theirs = socket.socketpair()
keep = select.epoll()
kinds = {"file": os.memfd_create("x"), "device": null, "directory": os.open("/", os.O_RDONLY),
         "path": os.open("/etc", os.O_PATH), "pipe": quiet[0], "pipe's other end": quiet[1], "socket": theirs.fileno(),
         "listener": listener.fileno(), "epoll": keep.fileno(), "event": os.eventfd(0),
         "process": os.pidfd_open(os.getpid()), "the connection itself": c.sock.fileno()}
for kind, fd in kinds.items():
    reply, _ = c.call(OCI + "HasLayer", {"handle": HANDLE, "diff_id": diff_id}, [fd])
    assert reply["parameters"]["present"] is True, (kind, reply)
if repository:
    put = OCI + "PutLayer", {"handle": HANDLE, "diff_id": none, "zerocopy": False}
    for fds in [[], [quiet[0]]]:
        assert c.call(*put, fds)[0]["error"] == OCI + "InvalidRequest"
    for kind, fd in kinds.items():
        for fds in ([fd, kinds["directory"]], [kinds["file"], fd], [kinds["file"]] + [fd] * 252):
            reply, got = c.call(*put, fds)
            assert reply["error"].startswith(OCI) and not got, (kind, reply)
    assert c.call(OCI + "HasLayer", {"handle": HANDLE, "diff_id": none})[0]["parameters"]["present"] is False
c.close()
as_before("descriptors of every kind")

# Half a message, and silence: given up after the timeout, while others are served.
c = Connection(path)
c.sock.sendall(b'{"method"')
alive()
start = time.time()
ends(c)
assert time.time() - start < 20
c.close()

# A peer that asks and never reads: the answers stop fitting, and it is given up.
c = Connection(path, timeout=30)
call = json.dumps({"method": SERVICE + "GetInterfaceDescription", "parameters": {"interface": "org.composefs.Oci"}})
send_until_closed(c, call.encode() + b"\0", 50 << 20)
c.close()
as_before("a peer that never reads")

# Layers that nobody reads: eight at most, and all given up.
c = Connection(path)
held, refused = [], 0
for _ in range(20):
    reply, fds = c.call(*LAYER)
    held += fds
    refused += reply.get("error") == OCI + "InternalError"
c.close()
as_before("layers that nobody reads")
for fd in held:
    os.close(fd)

# Keepalives that are never closed, after the layer was read: they stay at the client, and hold nothing.
c = Connection(path)
held = []
for _ in range(8):
    reply, (stream, *fds) = c.call(*LAYER)
    while os.read(stream, 1 << 20):
        pass
    os.close(stream)
    held += fds
c.close()
as_before("keepalives")
if repository:
    lock = os.open(repository[0], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
for fd in held:
    os.close(fd)

# A thousand clients, some in the middle of something: those that have no place wait.
crowd = []
for i in range(1000):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.setblocking(False)
    try:
        s.connect(path)
        if i % 2:
            s.send(b'{"meth')
    except BlockingIOError:
        pass
    crowd.append(s)
assert state()[1] <= before[1] + 40 + 8
alive()
for s in crowd:
    s.close()
alive()

fds, threads, memory = settled()
assert (fds, threads) == before[:2], (before, (fds, threads))
if not os.environ.get("SANITIZED"):  # a sanitizer keeps what was freed
    assert memory < before[2] + 64 * 1024, (before, memory)
print("descriptors %d, threads %d, memory %d KiB before, %d KiB after; %d of 20 layers refused"
      % (fds, threads, before[2], memory, refused))
