#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP relay to a service on loopback that fails after so many of its bytes:
  faulty-relay.py stall|cut PORT BYTES FILE
FILE.port appears with the relay's own port in it, FILE.failed when it has failed. stall: nothing
moves any more, on any connection. cut: all connections are closed and new ones are refused."""
import os
import selectors
import socket
import sys
import time

how, port, left, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
listener = socket.create_server(("127.0.0.1", 0))
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)


def note(what, text=""):
    with open(f"{name}.{what}.new", "w") as f:
        f.write(text)
    os.rename(f"{name}.{what}.new", f"{name}.{what}")


def accept():
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", port))
    selector.register(client, selectors.EVENT_READ, (server, False))
    selector.register(server, selectors.EVENT_READ, (client, True))


def fail():
    if how == "cut":
        listener.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    note("failed")
    while True:
        time.sleep(1000)


note("port", str(listener.getsockname()[1]))
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            accept()
            continue
        other, counted = key.data
        try:
            data = key.fileobj.recv(min(65536, left) if counted else 65536)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for s in (key.fileobj, other):
                try:
                    selector.unregister(s)
                except KeyError:
                    pass
                s.close()
            break  # the other one may be in this very round
        if counted:
            left -= len(data)
            if left == 0:
                fail()
