#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of a repository's service that each are in the middle of a PutLayer:
put-crowd.py SOCKET PID CLIENTS REPOSITORY

Prints how many threads the service has then."""
import os
import sys
import time

from varlink_client import Connection

socket, pid, clients, repository = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
c = Connection(socket)
handle = c.open(repository)
c.close()
held = []
for i in range(clients):
    c = Connection(socket)
    r, w = os.pipe()
    directory = os.open("/", os.O_RDONLY)
    c.send({"method": "org.composefs.Oci.PutLayer",
            "parameters": {"handle": handle, "diff_id": "sha256:%064x" % (i + 1), "zerocopy": False}}, [r, directory])
    os.close(r)
    os.close(directory)
    held.append((c, w))
# Until all have begun: the number does not change any more.
last, since = 0, time.monotonic()
while time.monotonic() - since < 1 or last <= clients:
    now = len(os.listdir(f"/proc/{pid}/task"))
    if now != last:
        last, since = now, time.monotonic()
    assert time.monotonic() - since < 30, f"{last} threads"
    time.sleep(0.02)
print(last)
