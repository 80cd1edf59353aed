#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client of the JSON-RPC service must not be able to do. Prints TAP.
  jsonrpc-hostile.py SOCKET IMAGE PROGRAM…
The program is started on SOCKET with short times, and is measured: descriptors and threads before and
after each case, memory at the end."""
import array
import json
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time

PATH, IMAGE, ARGV = sys.argv[1], sys.argv[2], sys.argv[3:]
MEMORY_MAX = 24 * 1024  # KiB that all of it may add
count = failed = 0


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(PATH)
        self.data, self.fds = b"", 0

    def send(self, data, fds=()):
        """False where the service has closed meanwhile."""
        try:
            at = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
            while at < len(data):
                at += self.socket.send(data[at:at + (1 << 20)])
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def receive_some(self):
        """One read; false at the end. Descriptors are counted and closed."""
        try:
            data, anc, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
        except ConnectionResetError:
            return False
        for _, _, raw in anc:
            for fd in array.array("i", raw):
                os.close(fd)
                self.fds += 1
        self.data += data
        return bool(data)

    def receive(self):
        """The next message; None at the end."""
        while True:
            try:
                text = self.data.decode().lstrip()
                message, end = json.JSONDecoder().raw_decode(text)
                self.data = text[end:].encode()
                return message
            except ValueError:
                if not self.receive_some():
                    return None

    def call(self, method, params, **more):
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1, **more}).encode())
        return self.receive()

    def close(self):
        self.socket.close()


def layer(c):
    return c.call("GetImage", {"imageId": IMAGE})["result"]["layerDigests"]


def works():
    c = Client()
    ids = layer(c)
    answer = c.call("GetSplitFDStream", {"layerId": ids[0]})
    assert answer["result"]["streamSize"] > 0, answer
    while c.fds < answer["fds"]:
        assert c.receive_some()
    assert c.fds == answer["fds"], c.fds
    c.close()


def held():
    """Descriptors and threads of the service, and its memory in KiB."""
    with open(f"/proc/{server.pid}/status") as f:
        memory = int([x for x in f if x.startswith("VmRSS")][0].split()[1])
    return len(os.listdir(f"/proc/{server.pid}/fd")), len(os.listdir(f"/proc/{server.pid}/task")), memory


def settle(want, seconds=20):
    end = time.time() + seconds
    while held()[:2] != want and time.time() < end:
        time.sleep(0.05)
    return held()[:2]


def start():
    process = subprocess.Popen(ARGV + ["--socket", PATH, "--timeout=3", "--max-clients=32"], stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            Client().close()
            return process
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the service does not start")


def case(f):
    global count, failed
    count += 1
    try:
        works()
        settle(idle)
        f()
        works()
        after = settle(idle)
        assert after == idle, f"descriptors and threads {idle} -> {after}"
        assert server.poll() is None, "the service has ended"
        print(f"ok {count} - {f.__doc__}", flush=True)
    except Exception as e:
        failed += 1
        print(f"# {type(e).__name__}: {e}\nnot ok {count} - {f.__doc__}", flush=True)


def fatal(code, data, fds=()):
    """Answered with this code, and then the connection ends."""
    c = Client()
    c.send(data, fds)
    answer = c.receive()
    assert answer is not None and answer["error"]["code"] == code and answer["id"] is None, (data[:80], answer)
    assert c.receive() is None
    c.close()


server = start()
works()
time.sleep(0.3)
idle = held()[:2]
memory = held()[2]


@case
def huge():
    "messages of 100 MB"
    for head, unit, code in ((b'{"a":"', b"x", -32600), (b'{"a":', b" ", -32600), (b'{"a":', b"1", -32600),
                             (b'{"a":[', b"1,", -32600), (b"", b" \n", -32700), (b'{"a":"', b"\\n", -32600)):
        fatal(code, head + unit * (100_000_000 // len(unit)))


@case
def broken():
    "broken JSON, no objects, no UTF-8, deep nesting"
    for text in (b"}", b"hello", b"GET / HTTP/1.1\r\n\r\n", b"[]", b"1", b"null", b'"x"', b'{"a":1,}', b'{"a" 1}', b"{'a':1}",
                 b'{"a":01}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"a":"\n"}', b'{"a":tru}', b"\0"):
        fatal(-32700, text)
    for text in (b'{"a":' * 65, b'{"a":' + b"[" * 1000, b'{"a":[' + b"1," * 5000):
        fatal(-32600, text)


@case
def wrong_types():
    "wrong types and missing parameters are answered, the connection stays"
    c = Client()
    for method, params in (("GetImage", None), ("GetImage", []), ("GetImage", "x"), ("GetImage", {}), ("GetImage", {"imageId": ""}),
                           ("GetImage", {"imageId": 7}), ("GetImage", {"imageId": ["x"]}), ("GetSplitFDStream", {}),
                           ("GetSplitFDStream", {"layerId": {}}), ("GetSplitFDStream", {"layerId": "x", "parentId": 1})):
        assert c.call(method, params)["error"]["code"] == -32602, (method, params)
    for name in ("nope", "x" * 60000, "../../etc/passwd", "\u00e9", "a\nb", "sha256:" + "0" * 64, "0" * 64):
        for method, key in (("GetImage", "imageId"), ("GetSplitFDStream", "layerId")):
            answer = c.call(method, {key: name})
            assert answer["error"]["code"] == -32000 and answer["id"] == 1, answer
    for method in ("", "x" * 60000, "getimage", "org.varlink.service.GetInfo"):
        assert c.call(method, {})["error"]["code"] == -32601
    for text in (b"{}", b'{"id":1}', b'{"method":1,"id":1}', b'{"method":"GetImage","id":{}}', b'{"result":1,"id":1}',
                 b'{"method":"GetImage","id":1,"id":2}', b'{"method":"GetImage","id":1e300}'):
        c.send(text)
        assert c.receive()["error"]["code"] == -32600, text
    c.send(b'{"method":"GetImage","params":{}}')  # a notification: nothing is said
    assert "result" in c.call("GetImage", {"imageId": IMAGE})
    ids = layer(c)
    assert c.call("GetSplitFDStream", {"layerId": ids[0], "parentId": ids[0]})["error"]["code"] == -32000
    assert "result" in c.call("GetSplitFDStream", {"layerId": ids[-1], "parentId": ""})
    c.close()


@case
def descriptors():
    "wrong numbers of descriptors"
    null = os.open("/dev/null", os.O_RDONLY)
    call = b'{"method":"GetImage","params":{"imageId":"x"},"id":1'
    fatal(-32050, call + b"}", [null])
    fatal(-32050, call + b',"fds":1}', [null] * 2)
    fatal(-32050, call + b',"fds":17}', [null] * 17)
    fatal(-32050, call + b"}", [null] * 253)
    fatal(-32050, b"  ", [null])
    for bad in (b"-1", b"1.5", b'"1"', b"[]", b"1e300", b"9999999999999"):
        fatal(-32050, call + b',"fds":' + bad + b"}", [null])
    c = Client()
    for n in (1, 16):
        c.send(call + b',"fds":%d}' % n, [null] * n)
        assert c.receive()["error"]["code"] == -32602
    c.send(call + b',"fds":3}', [null])
    assert c.receive()["error"]["code"] == -32602  # answered before they came
    c.send(b"{}")
    assert c.receive()["error"]["code"] == -32050
    assert c.receive() is None
    c.close()
    os.close(null)


@case
def kinds():
    "descriptors of every kind, where none is wanted"
    c = Client()
    epoll = select.epoll()
    ours, theirs = socket.socketpair()
    made = [os.memfd_create("x"), os.open("/", os.O_RDONLY), os.open("/etc", os.O_PATH), *os.pipe(), ours.detach(),
            theirs.detach(), os.eventfd(0), os.pidfd_open(os.getpid())]
    for fd in made + [epoll.fileno(), c.socket.fileno()]:
        for method, code in (("GetImage", -32602), ("GetSplitFDStream", -32602), ("Nope", -32601)):
            call = {"jsonrpc": "2.0", "method": method, "params": {"imageId": IMAGE}, "id": 1, "fds": 2}
            c.send(json.dumps(call).encode(), [fd, fd])
            assert c.receive()["error"]["code"] == code, (fd, method)
    for fd in made:
        os.close(fd)
    epoll.close()
    c.close()


@case
def keeps():
    "clients that keep all that they got, for ever"
    kept = []
    for _ in range(10):
        c = Client()
        c.send(json.dumps({"method": "GetSplitFDStream", "params": {"layerId": layer(c)[0]}, "id": 1}).encode())
        data, want = b"", None
        while want is None or len(kept) < want:
            some, anc, _, _ = c.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
            assert some
            data += some
            for _, _, raw in anc:
                kept += array.array("i", raw)
            if want is None and data.rstrip().endswith(b"}"):
                want = len(kept) + json.loads(data)["fds"] - sum(len(raw) // 4 for _, _, raw in anc)
        c.close()
    works()
    assert settle(idle) == idle, held()
    for fd in kept:
        os.close(fd)


@case
def silent():
    "clients that stop in the middle of a message, or read nothing of a layer"
    clients = [Client() for _ in range(20)]
    ids = layer(clients[0])
    for i, c in enumerate(clients):
        if i % 2 == 0:
            c.send(b'{"method":"GetIm')
        else:
            for _ in range(200):
                c.socket.setblocking(False)
                try:
                    c.socket.send(json.dumps({"method": "GetSplitFDStream", "params": {"layerId": ids[-1]}, "id": 1}).encode())
                except BlockingIOError:
                    break
    assert settle(idle, 30) == idle, held()
    for c in clients:
        c.close()


@case
def leaves():
    "clients that leave in the middle of everything"
    r = random.Random(7)
    c = Client()
    ids = layer(c)
    c.close()
    request = json.dumps({"method": "GetSplitFDStream", "params": {"layerId": ids[-1]}, "id": 1}).encode()
    for i in range(150):
        c = Client()
        c.send(request[:r.randrange(len(request))] if i % 3 == 0 else request)
        if i % 3 == 1:
            c.receive()
        c.close()


@case
def thousand():
    "a thousand clients"
    clients = []
    for i in range(1000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect(PATH)
            if i % 2 == 0:
                s.send(b"{")
            else:
                s.send(b'{"method":"GetImage","params":{"imageId":"x"},"id":1}')
        except BlockingIOError:
            pass
        clients.append(s)
    assert held()[1] <= 34, held()
    works()  # while they stay
    for s in clients:
        s.close()


@case
def at_once():
    "16 clients at once, each gets its layers"
    errors = []

    def fetch():
        try:
            for _ in range(4):
                works()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=fetch) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors


@case
def changed():
    "random changes to good requests"
    r = random.Random(3)
    base = json.dumps({"jsonrpc": "2.0", "method": "GetImage", "params": {"imageId": "localhost/nope"}, "id": 1, "fds": 0}).encode()
    for _ in range(1500):
        text = bytearray(base)
        for _ in range(r.randrange(1, 4)):
            at = r.randrange(len(text))
            text[at:at + r.randrange(2)] = bytes(r.choice(b'{}[]",:0a\\\x00\xff ') for _ in range(r.randrange(3)))
        c = Client()
        c.send(bytes(text))
        c.socket.shutdown(socket.SHUT_WR)
        while c.receive() is not None:
            pass
        c.close()


@case
def bounded():
    "memory after all of it"
    after = held()[2]
    print(f"# memory {memory} -> {after} KiB")
    if not os.environ.get("SANITIZED"):  # a sanitizer keeps what was freed
        assert after - memory < MEMORY_MAX


server.terminate()
status = server.wait(30)
count += 1
print(f"{'ok' if status == 0 else 'not ok'} {count} - the service ends by SIGTERM with status 0 ({status})")
print(f"1..{count}")
sys.exit(failed != 0 or status != 0)
