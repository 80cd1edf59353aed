#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A producer that does one thing wrong: wire-bad.py CASE DIFFID COMMAND… runs COMMAND (@FDS@ is its
socket) as the consumer and ends with its exit code. `good` does nothing wrong."""
import array
import hashlib
import io
import os
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

BODY = b"b" * 3000
HEAD = tarfile.TarInfo("f")
HEAD.size = len(BODY)
HEAD = HEAD.tobuf(tarfile.USTAR_FORMAT)
TAIL = bytes(-len(BODY) % 512 + 1024)
DIFF_ID = "sha256:" + hashlib.sha256(HEAD + BODY + TAIL).hexdigest()


def inline(data):
    return struct.pack("<q", -len(data)) + data


def index(k):
    return struct.pack("<q", k)


def meta(data):
    return b"\0" + struct.pack("<I", len(data)) + data


def name(n, size=len(BODY), d=0):
    return b"\2" + struct.pack("<QII", size, d, len(n)) + n


def main():
    case, command = sys.argv[1], sys.argv[2:]
    if case == "diffid":
        print(DIFF_ID)
        return 0
    top = tempfile.TemporaryDirectory(dir="/var/tmp")
    path = os.path.join(top.name, "f")
    with open(path, "wb") as f:
        f.write(BODY)
    os.mkdir(os.path.join(top.name, "d"))
    os.mkfifo(os.path.join(top.name, "fifo"))
    os.symlink("/etc/passwd", os.path.join(top.name, "out"))
    os.symlink("f", os.path.join(top.name, "in"))
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(top.name, "socket"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = subprocess.Popen([w.replace("@FDS@", str(theirs.fileno())) for w in command],
                             stdin=subprocess.PIPE, pass_fds=(theirs.fileno(),))
    theirs.close()
    out = child.stdin

    def fds(*items):
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", items))])

    def send(*parts):
        try:
            out.write(b"".join(parts))
            out.flush()
        except BrokenPipeError:
            pass

    def opened(what, flags=os.O_RDONLY):
        return os.open(os.path.join(top.name, what), flags)

    files = {
        "good": lambda: opened("f"),
        "write-only": lambda: opened("f", os.O_WRONLY),
        "o-path": lambda: opened("f", os.O_PATH),
        "directory": lambda: opened("d"),
        "fifo": lambda: opened("fifo", os.O_RDWR),
        "socket": lambda: s.fileno(),
        "device": lambda: os.open("/dev/zero", os.O_RDONLY),
    }
    names = {
        "dir-good": b"f", "dir-in": b"in", "dir-absolute": path.encode(), "dir-dotdot": b"../f",
        "dir-dotdot-inside": b"d/../f", "dir-nul": b"f\0", "dir-empty": b"", "dir-long": b"n" * 4097,
        "dir-out": b"out", "dir-fifo": b"fifo", "dir-socket": b"socket", "dir-directory": b"d",
    }
    if case in files:
        fds(files[case]())
        send(inline(HEAD), index(0), inline(TAIL))
    elif case in ("small", "large"):
        os.truncate(path, 2999 if case == "small" else 3001)
        fds(opened("f"))
        send(inline(HEAD), index(0), inline(TAIL))
    elif case == "changed":
        with open(path, "r+b") as f:
            f.write(b"x")
        fds(opened("f"))
        send(inline(HEAD), index(0), inline(TAIL))
    elif case == "missing":
        ours.close()
        send(inline(HEAD), index(0), inline(TAIL))
    elif case == "extra":
        fds(opened("f"), opened("f"))
        send(inline(HEAD), index(0), inline(TAIL))
    elif case == "skipped":
        fds(opened("f"), opened("f"))
        send(inline(HEAD), index(1), inline(TAIL))
    elif case == "repeated":
        fds(opened("f"))
        send(inline(HEAD), index(0), inline(TAIL[:-1024]), inline(HEAD), index(0), inline(TAIL))
    elif case == "index-2-to-the-32":
        fds(opened("f"))
        send(inline(HEAD), index(1 << 32))
    elif case == "minimum":
        send(struct.pack("<q", -(1 << 63)))
    elif case == "over-the-limit":
        send(struct.pack("<q", -(256 << 20) - 1))
    elif case == "early-close":
        fds(opened("f"))
        send(inline(HEAD), index(0))
    elif case == "half-a-prefix":
        fds(opened("f"))
        send(inline(HEAD), index(0), inline(TAIL), b"\1\2\3")
    elif case == "silent":
        send(inline(HEAD)[:100])
        child.wait()
    elif case == "silent-channel":
        send(inline(HEAD), index(0), inline(TAIL))
        child.wait()
    elif case == "shrinking":
        fds(opened("f"))
        stop = threading.Event()

        def shake():
            while not stop.is_set():
                os.truncate(path, 10)
                os.truncate(path, 3000)

        t = threading.Thread(target=shake)
        t.start()
        send(inline(HEAD), index(0), inline(TAIL))
        out.close()
        code = child.wait()
        stop.set()
        t.join()
        return code
    elif case in names:
        fds(os.open(top.name, os.O_PATH | os.O_DIRECTORY))
        send(meta(HEAD), name(names[case]), meta(TAIL))
    elif case == "dir-size":
        fds(os.open(top.name, os.O_PATH | os.O_DIRECTORY))
        send(meta(HEAD), name(b"f", 2999), meta(TAIL))
    elif case == "dir-index":
        fds(os.open(top.name, os.O_PATH | os.O_DIRECTORY))
        ours.close()
        send(meta(HEAD), name(b"f", d=1), meta(TAIL))
    elif case == "dir-no-directory":
        fds(opened("f"))
        send(meta(HEAD), name(b"f"), meta(TAIL))
    elif case == "dir-unknown-type":
        send(meta(HEAD), b"\3")
    else:
        sys.exit("wire-bad: what is %s?" % case)
    try:
        out.close()
    except BrokenPipeError:
        pass
    return child.wait()


sys.exit(main())
