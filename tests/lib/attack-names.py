#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A peer that names files which it cannot open itself:

    attack-names.py tar FILE > TAR                     a layer of one file, with this content
    attack-names.py put SOCKET REPOSITORY DIRECTORY NAME SIZE DIFFID [own]
    attack-names.py serve SOCKET DIRECTORY NAME SIZE DIFFID

put calls PutLayer of a service with a stream that refers to NAME below DIRECTORY, prints what it
learned and fails where that is more than nothing; with `own` the layer has to be taken. serve is a
service with one image, whose layer refers to it."""
import hashlib
import io
import json
import os
import socket
import stat
import struct
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from varlink_client import Connection  # noqa: E402


def header(size):
    out = io.BytesIO()
    info = tarfile.TarInfo("usr/file")
    info.size = size
    out.write(info.tobuf(tarfile.USTAR_FORMAT))
    return out.getvalue()


def tail(size):
    return b"\0" * (-size % 512 + 1024)


def stream(name, size, declared=None):
    def metadata(data):
        return b"\0" + struct.pack("<I", len(data)) + data

    name = name.encode()
    return (metadata(header(size)) + b"\2" + struct.pack("<QII", size if declared is None else declared, 0, len(name)) +
            name + metadata(tail(size)))


def piped(data):
    r, w = os.pipe()
    os.write(w, data)
    os.close(w)
    return r


def put(path, repo, directory, data, diff_id):
    c = Connection(path)
    fds = [piped(data), os.open(directory, os.O_PATH | os.O_DIRECTORY)]
    handle = c.open(repo)
    reply, _ = c.call("org.composefs.Oci.PutLayer", {"handle": handle, "diff_id": diff_id, "zerocopy": False}, fds)
    for fd in fds:
        os.close(fd)
    c.close()
    return reply


def attack(path, repo, directory, name, size, diff_id):
    replies = [put(path, repo, directory, stream(name, size - 1), "sha256:" + "0" * 64),
               put(path, repo, directory, stream(name, size), "sha256:" + "0" * 64),
               put(path, repo, directory, stream(name, size), diff_id)]
    for reply in replies:
        print(reply)
    texts = [json.dumps(r) for r in replies]
    learned = [what for what, yes in (
        ("its size", f"{size} bytes" in texts[0] or f"size {size}" in texts[0]),
        ("its digest", "DiffIdMismatch" in texts[1]),
        ("its content", "error" not in replies[2])) if yes]
    print("learned:", ", ".join(learned) or "nothing")
    return 1 if learned else 0


def serve(path, directory, name, size, diff_id):
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                   "digest": "sha256:" + hashlib.sha256(config.encode()).hexdigest()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 1, "digest": diff_id}]})
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    listener.listen()
    while True:
        c = Connection(listener.accept()[0])
        while True:
            call, _ = c.receive()
            if call is None:
                break
            method = call["method"].rsplit(".", 1)[1]
            if method == "GetLayer":
                keepalive = os.pipe()
                fds = [piped(stream(name, size)), os.open(directory, os.O_PATH | os.O_DIRECTORY), keepalive[1]]
                c.send({"parameters": {"dir_count": 1}}, fds)
                for fd in fds:
                    os.close(fd)
            elif method == "Inspect":
                c.send({"parameters": {"manifest": manifest, "config": config, "referrers": []}})
            else:
                c.send({"parameters": {"features": []}})
        c.close()


def main():
    if sys.argv[1] == "tar":
        with open(sys.argv[2], "rb") as f:
            data = f.read()
        sys.stdout.buffer.write(header(len(data)) + data + tail(len(data)))
        return 0
    if sys.argv[1] == "serve":
        path, directory, name, size, diff_id = sys.argv[2:7]
        return serve(path, directory, name, int(size), diff_id)
    path, repo, directory, name, size, diff_id = sys.argv[2:8]
    if sys.argv[8:] == ["own"]:
        reply = put(path, repo, directory, stream(name, int(size)), diff_id)
        print(reply)
        return 1 if "error" in reply else 0
    return attack(path, repo, directory, name, int(size), diff_id)


sys.exit(main())
