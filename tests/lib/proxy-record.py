#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the same seeded random conversations to two image proxies and compares every answer.

  proxy-record.py --seed N --count N --reference REF… -- PROGRAM… -- PROGRAM…

Compared: success, value, the number of descriptors, whether there is a pipe, the class of the error
(not its text), the digest of what each pipe gave, the end of each session. Pipe numbers are the
server's own affair and are only translated. Prints the first conversations that differ; exit 1.
"""
import concurrent.futures
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy, drain, sha256  # noqa: E402

EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
WRONG = [None, True, -1, 0, 1.5, 99, 2**53, "", "x", "sha256:00", [], {}, [1], {"a": 1}]
BAD_DIGESTS = ["", "x", "sha256:", ":abc", "sha256:" + "0" * 63, "sha256:" + "G" * 64, "sha256:" + "A" * 64,
               "md5:" + "0" * 32, "sha256:" + "1" * 64, "sha512:" + "0" * 128, EMPTY]
PACKETS = [b"", b" ", b"{", b"{}", b"[]", b"null", b"1", b'"x"', b"{}{}", b'{"method":1}', b'{"method":null}',
           b'{"method":"Initialize","args":{}}', b'{"method":"Initialize","args":null,"more":[1]}',
           b'{"METHOD":"FinishPipe","Args":[77]}', b'{"method":"GetManifest"}', b'{"method":"\xff"}',
           b'{"method":"OpenImage","args":["containers-storage:"]}', b"\xef\xbb\xbf{}",
           b'{"method":"OpenImage","args":[' + b"[" * 500 + b"]" * 500 + b"]}", b"x" * 40000,
           b'{"method":"Initialize","method":null}', b'{"method":"OpenImage","args":[1],"args":null}',
           b'{"args":[1e999]}', b'{"method":"Initi\\u0061lize","ARGS":[]}', b'{"method":"GetManifest","args":[1,]}',
           b'{"method":"GetManifest","args":[1],"args":["x"]}', b'{"method":"FinishPipe","args":[-1]}',
           b'{"method":"FinishPipe","args":[4294967296]}', b'{"method":"OpenImage","args":["\\ud800:x"]}',
           b'{"method":"OpenImage","args":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"method":"Shutdow"}',
           b'{"method":"' + b"m" * 33000 + b'"}', b'{"method":"OpenImage","args":["' + b"r" * 30000 + b'"]}']
IMAGE_METHODS = ["CloseImage", "GetManifest", "GetConfig", "GetFullConfig", "GetLayerInfo", "GetLayerInfoPiped"]


class Plan:
    """A conversation as steps that refer to what earlier steps gave."""

    def __init__(self, seed, references, facts):
        self.r = random.Random(seed)
        self.references = references
        self.facts = facts
        self.opened = 0
        self.held = 0

    def image(self):
        if self.opened == 0 or self.r.random() < 0.1:
            return self.r.choice(WRONG)
        return self.r.randint(1, self.opened)

    def digest(self):
        pool = self.facts if self.r.random() < 0.8 else [(d, 5) for d in BAD_DIGESTS]
        digest, size = self.r.choice(pool)
        if self.r.random() < 0.15:
            size = self.r.choice([0, size + 1, -1, "5", None, 2**53 + 2, 1e300, -1e300])
        if self.r.random() < 0.03:
            digest = self.r.choice(WRONG)
        return digest, size

    def steps(self):
        if self.r.random() < 0.9:
            yield "call", "Initialize", []
        for _ in range(self.r.randint(3, 25)):
            yield self.step()
        if self.r.random() < 0.3:
            yield "call", "Shutdown", []

    def step(self):
        r = self.r
        kind = r.random()
        if kind < 0.06:
            return "raw", r.choice(PACKETS), None
        if kind < 0.25:
            self.opened += 1  # at most: a number that was not given is an error on both sides
            return "call", r.choice(["OpenImage", "OpenImageOptional"]), [r.choice(self.references)]
        if kind < 0.55:
            return "call", r.choice(IMAGE_METHODS), [self.image()]
        if kind < 0.75:
            digest, size = self.digest()
            return r.choice(["call", "drop"]), "GetBlob", [self.image(), digest, size]
        if kind < 0.84:
            return r.choice(["call", "drop"]), "GetRawBlob", [self.image(), self.digest()[0]]
        if kind < 0.88:
            if self.held > 0 and r.random() < 0.6:
                return "release", r.randint(1, self.held), None
            self.held += 1
            return "hold", *r.choice([("GetBlob", [self.image(), *self.digest()]), ("GetFullConfig", [self.image()]),
                                      ("GetRawBlob", [self.image(), self.digest()[0]])])
        if kind < 0.92:
            return "call", "FinishPipe", [r.choice([x for x in WRONG if x is not True] + [12345])]
        if kind < 0.96:
            method = r.choice(IMAGE_METHODS + ["Initialize", "OpenImage", "GetBlob", "GetRawBlob"])
            return "call", method, [r.choice(WRONG) for _ in range(r.randint(0, 4))]
        # None of splitfd's own, which skopeo does not have.
        return "call", r.choice(["", "Nope", "initialize", "GetLayer"]), []


def release(proxy, held, number):
    """A pipe that was held, once: other requests came between. Then once more, when it is no pipe any more."""
    reply, fds = held.pop(number, (None, []))
    if not fds:
        return "nothing held"
    got = consume(proxy, reply, fds, False)
    if reply["pipeid"]:
        again, more = proxy.call("FinishPipe", reply["pipeid"])
        got += [again["success"], again["error_code"], len(more)]
    return got


def consume(proxy, reply, fds, drop):
    """What the pipes of a reply gave."""
    if drop:
        for fd in fds:
            os.close(fd)
        if reply["pipeid"]:
            proxy.call("FinishPipe", reply["pipeid"])  # its verdict hangs on who was faster
        return "dropped"
    if reply["pipeid"] and len(fds) == 1:
        import threading
        parts = []
        reader = threading.Thread(target=lambda: parts.append(drain(fds[0])))
        reader.start()
        finished, more = proxy.call("FinishPipe", reply["pipeid"])
        reader.join()
        good = finished["success"]
        return [sha256(parts[0]) if good else None, good, finished["error_code"], len(more)]
    return [sha256(drain(fd)) for fd in fds]


def play(argv, seed, references, facts):
    proxy = Proxy(argv, initialize=False, stderr=__import__("subprocess").DEVNULL)
    log, held, holds = [], {}, 0
    for kind, method, args in Plan(seed, references, facts).steps():
        if kind == "release":
            log.append([kind, method, release(proxy, held, method)])
            continue
        shown = [kind, method if isinstance(method, str) else method[:80].decode("latin1"), args]
        packet = method if kind == "raw" else json.dumps({"method": method, "args": args}).encode()
        if packet == b"":
            continue  # an empty packet is the end of the connection
        try:
            reply, fds = proxy.raw(packet)
        except (EOFError, ConnectionError, BrokenPipeError):
            log.append([shown, "closed"])
            break
        answer = [reply["success"], reply["value"], bool(reply["pipeid"]), reply.get("error_code"), len(fds)]
        if kind == "hold":
            holds += 1
            held[holds] = reply, fds
            log.append([shown, answer])
            continue
        log.append([shown, answer, consume(proxy, reply, fds, kind == "drop")])
    for _, fds in held.values():
        for fd in fds:
            os.close(fd)
    log.append(["exit", proxy.close()])
    return log


def gather(argv, references):
    """Digests and sizes that the images have."""
    facts = []
    proxy = Proxy(argv)
    for reference in references:
        try:
            image = proxy.open(reference)
            for layer in proxy.layers(image):
                facts.append((layer["digest"], layer["size"]))
            config = json.loads(proxy.piped("GetManifest", image)[0])["config"]
            facts.append((config["digest"], config["size"]))
        except Exception:
            continue
    proxy.close()
    return facts


def main():
    words = sys.argv[1:]
    cut = words.index("--")
    options, rest = words[:cut], words[cut + 1:]
    cut = rest.index("--")
    first, second = rest[:cut], rest[cut + 1:]
    seed, count, references = 1, 100, []
    while options:
        name, value, options = options[0], options[1], options[2:]
        if name == "--seed":
            seed = int(value)
        elif name == "--count":
            count = int(value)
        else:
            references.append(value)
    facts = gather(first, references)
    different = steps = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pairs = pool.map(lambda i: (i, play(first, i, references, facts), play(second, i, references, facts)),
                         range(seed, seed + count))
        for i, a, b in pairs:
            steps += len(a)
            if a == b:
                continue
            different += 1
            print(f"conversation {i} differs:")
            for x, y in zip(a, b):
                if x != y:
                    print("  ", json.dumps(x)[:600], "\n  ", json.dumps(y)[:600])
                    break
    print(f"{count} conversations, {steps} steps, {different} different")
    return different != 0


sys.exit(main())
