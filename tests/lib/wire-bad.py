#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A producer that does one thing wrong: wire-bad.py CASE DIFFID COMMAND… runs COMMAND (@FDS@ is its
socket) as the consumer and ends with its exit code. `good` does nothing wrong."""
import array
import ctypes
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

LARGE = "-large"
BODY = b"b" * (3000000 if sys.argv[1].endswith(LARGE) else 3000)
HEAD = tarfile.TarInfo("f")
HEAD.size = len(BODY)
HEAD = HEAD.tobuf(tarfile.USTAR_FORMAT)
TAIL = bytes(-len(BODY) % 512 + 1024)
DIFF_ID = "sha256:" + hashlib.sha256(HEAD + BODY + TAIL).hexdigest()

FAN_CLASS_CONTENT, FAN_CLOEXEC, FAN_MARK_ADD, FAN_ACCESS_PERM, FAN_ALLOW = 4, 1, 1, 0x20000, 1


def at_read(path, n, action):
    """Holds each reader of a file, and runs action before it may read for the n-th time."""
    libc = ctypes.CDLL(None, use_errno=True)
    fan = libc.fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, os.O_RDONLY)
    if fan < 0 or libc.fanotify_mark(fan, FAN_MARK_ADD, ctypes.c_uint64(FAN_ACCESS_PERM), -100,
                                     path.encode()) < 0:
        print("no permission events of fanotify: %s" % os.strerror(ctypes.get_errno()))
        sys.exit(77)

    def serve():
        seen = 0
        while True:
            events = os.read(fan, 4096)
            for at in range(0, len(events), 24):
                fd = struct.unpack_from("=IBBHQii", events, at)[5]
                seen += 1
                if seen == n:
                    action()
                os.write(fan, struct.pack("=iI", fd, FAN_ALLOW))
                os.close(fd)

    threading.Thread(target=serve, daemon=True).start()


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
    if case in ("diffid", "diffid" + LARGE):
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
        try:
            ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", items))])
        except BrokenPipeError:
            pass

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
    elif case in ("shrinking", "shrinking" + LARGE, "growing" + LARGE):
        # After its size was looked at; of the large one, after its first piece was read too.
        at_read(path, 2 if case.endswith(LARGE) else 1,
                lambda: os.truncate(path, 10 if case.startswith("shrinking") else len(BODY) + 1))
        fds(opened("f"))
        send(inline(HEAD), index(0), inline(TAIL))
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
