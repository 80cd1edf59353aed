#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reader that asks `splitfd rootless-opener` for what it should not give.

rootless-hostile.py PROGRAM FOLDER CASE
FOLDER is made: a store overlay/ID/diff with files, and things beside it. Prints what the opener
answers, one line each, and how it ended.
"""
import array
import os
import socket
import struct
import subprocess
import sys
import time

program, top, case = sys.argv[1:4]
MAGIC = 0x6F706E72
version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[1]
layer = os.path.join(top, "overlay", "0" * 64, "diff")
os.makedirs(os.path.join(layer, "sub"))
os.makedirs(os.path.join(top, "other", "0" * 64, "diff"))
for path in ("sub/file", "../work", "../../l", "../../../secret"):
    with open(os.path.join(layer, path), "w") as f:
        f.write("0123456789")
with open(os.path.join(top, "other", "0" * 64, "diff", "file"), "w") as f:
    f.write("0123456789")
os.symlink("../../../secret", os.path.join(layer, "out"))
os.symlink("/etc", os.path.join(layer, "etc"))
os.symlink("sub", os.path.join(layer, "alias"))
os.mkfifo(os.path.join(layer, "fifo"))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.settimeout(20)
process = None


def start():
    global process
    process = subprocess.Popen([program, "rootless-opener"], stdin=theirs, stderr=subprocess.PIPE)
    theirs.close()


def path_fd(*parts):
    return os.open(os.path.join(top, *parts), os.O_PATH)


def send(data, fds=()):
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    ours.sendmsg([data], control)


def hello(magic=MAGIC, depth=2, text=None, fds=None):
    text = version if text is None else text
    send(struct.pack("=II24s", magic, depth, text.encode()),
         [path_fd("overlay")] if fds is None else fds)


def receive():
    data, fds, flags, _ = socket.recv_fds(ours, 4096, 4)
    return data, fds


def welcome():
    data, fds = receive()
    if len(data) != 8 or fds or struct.unpack("=II", data)[0] != MAGIC:
        print("no welcome")


def ask(name, size=10, directory=None, fds=None):
    send(struct.pack("=Q", size) + name,
         fds if fds is not None else [path_fd(directory or layer)])
    data, got = receive()
    if not data:
        return print("closed")
    result, _ = struct.unpack("=ii", data[:8])
    text = data[8:].decode()
    what = os.read(got[0], 100).decode() if got else ""
    print(name[:20].decode().replace("\0", "NUL"), result, what or text[:100])


def end():
    ours.close()
    try:
        code = process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "never"
    print("ended", code, process.stderr.read().decode().strip())


def orphan():
    """The parent dies while the socket stays open, in this process."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        start()
        hello()
        welcome()
        os.write(write, b"%d" % process.pid)
        os._exit(0)
    theirs.close()
    pid = int(os.read(read, 20))
    os.waitpid(parent, 0)
    for _ in range(200):
        try:
            with open("/proc/%d/stat" % pid) as f:
                if f.read().split()[2] == "Z":
                    break
        except OSError:
            break
        time.sleep(0.05)
    else:
        return print("lives on")
    print("gone")


if case == "orphan":
    orphan()
    sys.exit()
start()
if case == "names":
    hello()
    welcome()
    for name in (b"sub/file", b"alias/file", b"/sub/file", b"out", b"../work", b"../../../secret",
                 b"etc/passwd", b"sub", b"fifo", b"nothing", b"sub/\0file", b"", b"a" * 4096):
        ask(name)
    ask(b"sub/file", 11)
elif case == "folders":
    hello()
    welcome()
    for folder in (("overlay", "0" * 64), ("overlay",), ("other", "0" * 64, "diff"), ("/",), ("/etc",)):
        ask(b"file" if folder[0] == "other" else b"hostname", 10, os.path.join(top, *folder))
    ask(b"sub/file", 10, os.path.join(layer, "sub/file"))
elif case == "rights":
    hello()
    welcome()
    with open("/proc/%d/status" % process.pid) as f:
        for line in f:
            if line.startswith(("CapEff", "CapPrm", "NoNewPrivs")):
                print(line.split()[0], line.split()[1])
else:
    bad = {
        "magic": lambda: hello(magic=1),
        "version": lambda: hello(text="0.0.0-other"),
        "depth": lambda: hello(depth=9),
        "no-folder": lambda: hello(fds=()),
        "file-as-folder": lambda: hello(fds=[path_fd("secret")]),
        "many-folders": lambda: hello(fds=[path_fd("overlay") for _ in range(40)]),
        "short": lambda: send(b"x"),
        "long": lambda: send(b"x" * 100000),
    }
    late = {
        "request-short": (b"x", 1),
        "request-long": (b"x" * 100000, 1),
        "request-without": (struct.pack("=Q", 10) + b"sub/file", 0),
        "request-two": (struct.pack("=Q", 10) + b"sub/file", 2),
    }
    if case in bad:
        bad[case]()
    else:
        hello()
        welcome()
        data, n = late[case]
        send(data, [path_fd(layer) for _ in range(n)])
    try:
        data, fds = receive()
        print("closed" if not data else "answered")
    except ConnectionResetError:
        print("closed")
end()
