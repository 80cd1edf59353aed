#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A crowd of clients: crowd-limit.py SOCKET PID N COMMAND…

N clients connect; they are silent, in the middle of a message, or have asked something. COMMAND has to
succeed while they are there and after they have left; the service's address space is not taken for good
then, up to what its heap keeps."""
import socket
import subprocess
import sys
import time

path, pid, n, *command = sys.argv[1:]


def kib(key="VmSize"):
    return int(open(f"/proc/{pid}/status").read().split(key + ":")[1].split()[0])


def crowd():
    sockets = []
    for i in range(int(n)):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        try:
            s.connect(path)
            s.send([b"", b'{"method', b'{"method":"org.composefs.Oci.GetInfo"}\0'][i % 3])
        except OSError:
            pass  # it made room already
        sockets.append(s)
    return sockets


def settled():
    """When all threads of clients have ended."""
    for _ in range(100):
        if kib("Threads") <= 2:
            break
        time.sleep(0.05)
    return kib()


subprocess.run(command, check=True)
before = settled()
clients = crowd()
print(f"{before} KiB before, {kib()} KiB with the crowd and {kib('Threads')} threads")
subprocess.run(command, check=True)
for s in clients:
    s.close()
after = settled()
print(f"{after} KiB after")
subprocess.run(command, check=True)
assert after <= before + 12 * 1024
