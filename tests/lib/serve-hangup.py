#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that ask a repository's service for something without an end, and leave:

    serve-hangup.py SOCKET PID put|fsck REPOSITORY

Fails where a thread of the service works on for them."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from varlink_client import Connection  # noqa: E402

path, pid, what, repository = sys.argv[1:]
if os.geteuid() == 0:  # the attack is that of a user without any right
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


def threads():
    return len(os.listdir(f"/proc/{pid}/task"))


def until(wanted, why):
    end = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < end, f"{why}: {threads()} threads, {before} before"
        time.sleep(0.05)


def put():
    zeros, directory = os.open("/dev/zero", os.O_RDONLY), os.open("/", os.O_RDONLY)
    return {"method": "org.composefs.Oci.PutLayer",
            "parameters": {"handle": handle, "diff_id": "sha256:" + "1" * 64, "zerocopy": False}}, [zeros, directory]


def fsck():
    return {"method": "org.composefs.Repository.Fsck", "parameters": {"handle": handle}}, []


def served():
    c = Connection(path)
    reply, _ = c.call("org.varlink.service.GetInfo")
    c.close()
    return "error" not in reply


before = threads()
opener = Connection(path)
handle = opener.open(repository)
opener.close()
until(lambda: threads() <= before, "the first client's thread stays")
clients = []
for _ in range(3):
    message, fds = {"put": put, "fsck": fsck}[what]()
    c = Connection(path)
    c.send(message, fds)
    clients.append(c)
    for fd in fds:
        os.close(fd)
# Each is being worked for: more than the thread that serves it.
until(lambda: threads() >= before + 4, "the calls do not begin")
assert served()
for c in clients:
    c.close()
until(lambda: threads() <= before, "the service works on for clients that have left")
assert served()
