#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A composefs service that misbehaves in one way: varlink-lying-services.py SOCKET CASE.

Answers OpenRepository, HasLayer, PutLayer, FinalizeImage, Inspect and GetLayer as cfsctl does, for an
image of one small layer, but for what CASE names. Serves one connection, then ends. Where it is silent
it says "waits" on its standard output. CASE `list-push` and `list-pull` print the cases of each side.
`good` misbehaves in nothing, nor does `good in frames`, whose GetLayer answers with more descriptors
than one message can carry, as services may.
"""
import array
import hashlib
import io
import json
import os
import socket
import struct
import sys
import tarfile
import tempfile
import time

OCI, REPOSITORY = "org.composefs.Oci.", "org.composefs.Repository."
VERITY = "ab" * 64


def make_tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in (("usr/", None), ("usr/file", b"content of a file " * 100)):
            info = tarfile.TarInfo(name.rstrip("/"))
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return out.getvalue()


TAR = make_tar()
BODY = b"content of a file " * 100
AT = TAR.index(BODY)
DIFF_ID = "sha256:" + hashlib.sha256(TAR).hexdigest()
CONFIG = json.dumps({"architecture": "amd64", "os": "linux",
                     "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]}})
MANIFEST = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(CONFIG),
               "digest": "sha256:" + hashlib.sha256(CONFIG.encode()).hexdigest()},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(TAR), "digest": DIFF_ID}]})


def metadata(data):
    return b"\0" + struct.pack("<I", len(data)) + data


def named(name, size=len(BODY), slot=0):
    return b"\2" + struct.pack("<QII", size, slot, len(name)) + name


def stream(reference):
    return metadata(TAR[:AT]) + reference + metadata(TAR[AT + len(BODY):])


class Gone(Exception):
    pass


class Service:
    def __init__(self, connection, case):
        self.socket, self.case, self.buffer, self.fds = connection, case, b"", []
        self.dir = tempfile.mkdtemp(dir=os.path.dirname(sys.argv[1]))  # which the test removes
        with open(self.dir + "/file", "wb") as f:
            f.write(BODY)
        os.mkdir(self.dir + "/folder")
        os.mkfifo(self.dir + "/fifo")
        os.symlink("/etc/passwd", self.dir + "/link")

    def raw(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        done = self.socket.sendmsg([data], rights)
        self.socket.sendall(data[done:])

    def send(self, message, fds=()):
        self.raw(json.dumps(message).encode() + b"\0", fds)

    def answer(self, parameters, fds=(), continues=False):
        self.send({"parameters": parameters, "continues": continues}, fds)

    def error(self, name, **parameters):
        self.send({"error": name, "parameters": parameters})

    def receive(self):
        while b"\0" not in self.buffer:
            data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    rights = array.array("i")
                    rights.frombytes(value[:len(value) // 4 * 4])
                    self.fds += rights
            if not data:
                raise Gone
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def wait_for_end(self):
        print("waits", flush=True)
        while self.socket.recv(65536):
            pass
        raise Gone

    def run(self):
        if self.case in START:
            START[self.case](self)
        while True:
            call = self.receive()
            method = call["method"].rsplit(".", 1)[1]
            special = CASES.get(self.case, {}).get(method)
            (special or DEFAULT[method])(self)

    # What is right.
    def open_repository(self):
        self.answer({"handle": 1, "hash_algorithm": "sha512", "objects_device_id": 1})

    def close_repository(self):
        self.send({"continues": False})

    def has_layer(self):
        self.answer({"present": False, "layer_verity": None})

    def put_layer(self):
        while os.read(self.fds[0], 1 << 20):
            pass
        self.put_answer()

    def put_answer(self, **other):
        self.answer({"layer_verity": VERITY, "already_present": False, "objects_reflinked": 0, **other})

    def finalize(self):
        self.error(OCI + "InternalError", message="the end of the good service")

    def inspect(self, manifest=MANIFEST, config=CONFIG):
        self.answer({"manifest": manifest, "config": config, "referrers": []})

    def get_layer(self, data=stream(named(b"file")), end=True, dirs=None, count=None, keep=True, first=None):
        r, w = os.pipe()
        keep_r, keep_w = os.pipe()
        fds = [r if first is None else first] + (dirs if dirs is not None else [os.open(self.dir, os.O_PATH)])
        count = len(fds) - 1 if count is None else count
        self.answer({"dir_count": count}, fds + ([keep_w] if keep else []))
        os.write(w, data)
        if end:
            os.close(w)
        os.close(r)
        os.close(keep_w)

    def silent_stream(self):
        """Stays open whatever becomes of the connection."""
        self.get_layer(data=metadata(TAR[:AT]), end=False)
        print("waits", flush=True)
        time.sleep(600)

    def frames(self):
        """700 slots, of which one is a directory; the frames of a service may be of any size."""
        null = os.open("/dev/null", os.O_RDONLY)
        r, w = os.pipe()
        slots = [null] * 599 + [os.open(self.dir, os.O_PATH)] + [null] * 100
        fds = [r, *slots, os.pipe()[1], null]
        os.write(w, stream(named(b"file", slot=599)))
        os.close(w)
        for n in (240, 1, 240, 2):
            self.answer({"dir_count": len(slots)}, fds[:n], continues=True)
            del fds[:n]
        self.answer({"dir_count": len(slots)}, fds)

    def frames_for_ever(self):
        for _ in range(20000):
            self.answer({"dir_count": 1}, continues=True)

    def many_fds(self):
        null = os.open("/dev/null", os.O_RDONLY)
        for _ in range(40):
            self.answer({"dir_count": 1}, [null] * 200, continues=True)

    def changing(self):
        null = os.open("/dev/null", os.O_RDONLY)
        self.answer({"dir_count": 1}, [null, null], continues=True)
        self.answer({"dir_count": 2}, [null, null])

    def part_of_pipe(self):
        os.read(self.fds[0], 65536)
        raise Gone


def replies(method, **parameters):
    return {method: lambda s: s.answer(parameters)}


def says(method, data):
    return {method: lambda s: s.raw(data)}


def gives(**arguments):
    return {"GetLayer": lambda s: s.get_layer(**arguments)}


def flood(s):
    try:
        while True:
            s.socket.sendall(b'{"parameters":{"x":"' + b"x" * (1 << 20))
    except OSError:
        raise Gone


def leave(_):
    raise Gone


START = {
    "silent": Service.wait_for_end,
    "closes at once": leave,
    "no varlink": lambda s: s.raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n\0"),
    "talks first": lambda s: s.answer({"handle": 7}),
}
BOTH = {
    "huge message": {"OpenRepository": flood},
    "broken JSON": says("OpenRepository", b'{"parameters":{"handle":1\0'),
    "deep JSON": says("OpenRepository", b'{"parameters":' + b"[" * 100000 + b"]" * 100000 + b"}\0"),
    "no UTF-8": says("OpenRepository", b'{"parameters":{"handle":1,"x":"\xff"}}\0'),
    "no object": says("OpenRepository", b"[1]\0"),
    "empty message": says("OpenRepository", b"\0"),
    "handle is text": replies("OpenRepository", handle="1"),
    "handle is negative": replies("OpenRepository", handle=-1),
    "handle is a fraction": replies("OpenRepository", handle=1.5),
    "no handle": replies("OpenRepository"),
    "error is a number": says("OpenRepository", b'{"error":5}\0'),
    "more than one answer": {"OpenRepository": lambda s: s.answer({"handle": 1}, continues=True)},
    "closes on open": {"OpenRepository": leave},
    "no repository": {"OpenRepository": lambda s: s.error(REPOSITORY + "RepoNotFound", message="not there")},
}
PUSH = {
    "dies on has": {"HasLayer": leave},
    "present is text": replies("HasLayer", present="yes"),
    "present without verity": replies("HasLayer", present=True),
    "verity is short": replies("HasLayer", present=True, layer_verity="abcd"),
    "verity is no hex": replies("HasLayer", present=True, layer_verity="xy" * 64),
    "dies on put": {"PutLayer": leave},
    "dies in the middle": {"PutLayer": Service.part_of_pipe},
    "put answers early": {"PutLayer": Service.put_answer},
    "put refuses early": {"PutLayer": lambda s: s.error(OCI + "DiffIdMismatch", expected="a", actual="b")},
    "put reads nothing": {"PutLayer": Service.wait_for_end},
    "put without verity": {"PutLayer": lambda s: s.put_answer(layer_verity=None)},
    "put with broken JSON": says("PutLayer", b"}{\0"),
    "finalize refuses": {},
    "finalize lies": replies("FinalizeImage", manifest_digest=DIFF_ID, config_digest=DIFF_ID,
                             manifest_verity=VERITY, config_verity=VERITY),
    "finalize says nothing": replies("FinalizeImage"),
    "dies on finalize": {"FinalizeImage": leave},
    "has is silent": {"HasLayer": Service.wait_for_end},
    "finalize is silent": {"FinalizeImage": Service.wait_for_end},
}
PULL = {
    "manifest is no JSON": {"Inspect": lambda s: s.inspect(manifest="{")},
    "manifest is a number": {"Inspect": lambda s: s.inspect(manifest=5)},
    "config is another": {"Inspect": lambda s: s.inspect(config=CONFIG + " ")},
    "no such image": {"Inspect": lambda s: s.error(OCI + "NoSuchImage", image="x")},
    "NUL in the manifest": {"Inspect": lambda s: s.inspect(manifest=MANIFEST + "\0")},
    "no such layer": {"GetLayer": lambda s: s.error(OCI + "NoSuchLayer", diff_id="x")},
    "no descriptors": {"GetLayer": lambda s: s.answer({"dir_count": 0})},
    "too few descriptors": gives(count=7),
    "absurd directory count": gives(count=1 << 40),
    "directory count is text": gives(count="1"),
    "answers for ever": {"GetLayer": Service.frames_for_ever},
    "thousands of descriptors": {"GetLayer": Service.many_fds},
    "changing directory count": {"GetLayer": Service.changing},
    "stream is a device": {"GetLayer": lambda s: s.get_layer(first=os.open("/dev/zero", os.O_RDONLY))},
    "stream is a folder": {"GetLayer": lambda s: s.get_layer(first=os.open("/", os.O_RDONLY))},
    "stream is cut": gives(data=stream(named(b"file"))[:-100]),
    "stream ends early": gives(data=metadata(TAR[:AT]) + named(b"file")),
    "stream is empty": gives(data=b""),
    "stream is silent": {"GetLayer": Service.silent_stream},
    "get is silent": {"GetLayer": Service.wait_for_end},
    "inspect is silent": {"Inspect": Service.wait_for_end},
    "other content": gives(data=stream(metadata(BODY.replace(b"c", b"d")))),
    "unknown chunk": gives(data=b"\7"),
    "slot out of range": gives(data=stream(named(b"file", slot=9))),
    "slot is no folder": {"GetLayer": lambda s: s.get_layer(dirs=[os.open("/dev/null", os.O_RDONLY)])},
    "name leads out": gives(data=stream(named(b"../../etc/passwd"))),
    "name is absolute": gives(data=stream(named(b"/etc/passwd"))),
    "name is a link": gives(data=stream(named(b"link"))),
    "name is a FIFO": gives(data=stream(named(b"fifo"))),
    "name is a folder": gives(data=stream(named(b"folder"))),
    "name is not there": gives(data=stream(named(b"nothing"))),
    "another length": gives(data=stream(named(b"file", size=len(BODY) + 1))),
    "dies on get": {"GetLayer": leave},
}
GOOD = {"good": {}, "good in frames": {"GetLayer": Service.frames}}
CASES = {**BOTH, **PUSH, **PULL, **GOOD}
DEFAULT = {"OpenRepository": Service.open_repository, "CloseRepository": Service.close_repository,
           "HasLayer": Service.has_layer, "PutLayer": Service.put_layer, "FinalizeImage": Service.finalize,
           "Inspect": Service.inspect, "GetLayer": Service.get_layer}


def main():
    path, case = sys.argv[1:3]
    if case in ("list-push", "list-pull"):
        print("\n".join([*START, *BOTH, *(PUSH if case == "list-push" else PULL)]))
        return
    if case not in CASES and case not in START:
        sys.exit(f"no case '{case}'")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path + ".new")
    listener.listen(1)
    os.rename(path + ".new", path)
    listener.settimeout(60)
    connection, _ = listener.accept()
    try:
        Service(connection, case).run()
    except (Gone, OSError):
        pass


main()
