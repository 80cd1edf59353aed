#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a service's socket comes from, and who may call: varlink-sockets.py PROGRAM DIR"""
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from varlink_client import Connection

program, folder = sys.argv[1:]
SERVICE = "org.varlink.service."
path = folder + "/x"


def start(*args, fds=(), activate=False, **popen):
    """With `fds` as 3, 4, … and perhaps announced as systemd does."""
    script = ""
    if activate:
        script = f"export LISTEN_FDS={len(fds)} LISTEN_PID=$$; "
    redirect = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(fds))
    script += f'exec "$0" serve "$@" {redirect}'
    return subprocess.Popen(["bash", "-c", script, program, *args], pass_fds=fds, stderr=subprocess.PIPE, **popen)


def ask(connection):
    return connection.call(SERVICE + "GetInfo")[0]["parameters"]["product"]


def end(process, code=0, sig=signal.SIGTERM):
    if sig:
        process.send_signal(sig)
    out = process.communicate(timeout=20)[1].decode()
    assert process.returncode == code, (process.returncode, out)
    return out


def listener():
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    os.set_inheritable(s.fileno(), True)
    return s


def wait_for(p):
    for _ in range(200):
        if os.path.exists(p):
            return
        time.sleep(0.05)


# Socket activation: a listening socket, and a connected one.
s = listener()
p = start(fds=[s.fileno()], activate=True)
assert [ask(Connection(path)) for _ in range(3)] == ["splitfd"] * 3
end(p)
assert os.path.exists(path), "a socket of systemd's is not ours to remove"
ours, theirs = socket.socketpair()
p = start(fds=[theirs.fileno()], activate=True)
theirs.close()
assert ask(Connection(ours)) == "splitfd"
ours.close()
end(p, sig=None)
# --fd: the same without variables; also as standard input.
p = start("--fd=3", fds=[s.fileno()])
assert ask(Connection(path)) == "splitfd"
end(p, sig=signal.SIGINT)
ours, theirs = socket.socketpair()
p = start("--fd=0", stdin=theirs)
theirs.close()
assert ask(Connection(ours)) == "splitfd"
ours.close()
end(p, sig=None)
# Variables for another process, and nothing at all.
p = subprocess.Popen([program, "serve"], stderr=subprocess.PIPE, env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"})
assert "there is no socket" in end(p, code=2, sig=None)
end(start("--fd=77"), code=2, sig=None)
end(start("--fd=0", stdin=subprocess.DEVNULL), code=2, sig=None)
s.close()

# --socket: a dead socket is replaced, a living one and a file are not; the file goes at the end.
p = start("--socket", path)
for _ in range(200):
    try:
        c = Connection(path)
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
assert ask(c) == "splitfd"
assert os.stat(path).st_mode & 0o777 == 0o600
assert "listens there already" in end(start("--socket", path), code=1, sig=None)
end(p, sig=signal.SIGHUP)
assert not os.path.exists(path)
assert c.receive() == (None, [])
open(path, "w").close()
assert "not a socket" in end(start("--socket", path), code=1, sig=None)
os.unlink(path)

# Another user: turned away, unless told otherwise.
os.chmod(folder, 0o755)


def as_other():
    """What user 12345 gets."""
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(12345)
        os.setuid(12345)
        c = Connection(path)
        try:
            c.send({"method": SERVICE + "GetInfo"})
        except BrokenPipeError:
            pass  # turned away already; the reason can be read
        os.write(w, str(c.receive()[0]).encode())
        os._exit(0)
    os.close(w)
    text = os.read(r, 65536).decode()
    os.close(r)
    os.waitpid(child, 0)
    return text


for options, answered in [([], False), (["--allow-uid=12344"], False), (["--allow-uid=1", "--allow-uid=12345"], True),
                          (["--allow-any"], True)]:
    p = start("--socket", path, *options)
    wait_for(path)
    time.sleep(0.2)
    os.chmod(path, 0o666)
    text = as_other()
    assert ("splitfd" in text) is answered, (options, text)
    assert answered or "PermissionDenied" in text, text
    assert ask(Connection(path)) == "splitfd"
    end(p)

# The same for a connection that was handed over: of systemd's with Accept=yes, too.
for options, answered in [([], False), (["--allow-uid=12345"], True)]:
    s = listener()
    os.chmod(path, 0o666)
    said = []
    other = threading.Thread(target=lambda: said.append(as_other()))
    other.start()
    accepted = s.accept()[0]
    p = start(*options, fds=[accepted.fileno()], activate=True)
    accepted.close()
    other.join()
    assert ("splitfd" if answered else "PermissionDenied") in said[0], said
    end(p, sig=None)
    s.close()
    os.unlink(path)
