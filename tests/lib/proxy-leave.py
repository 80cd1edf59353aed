#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that leave without a word, with images open: proxy-leave.py ARCHIVE OTHER PROGRAM…"""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy  # noqa: E402

references, argv = sys.argv[1:3], sys.argv[3:]


def send(proxy, method, *args):
    proxy.sock.send(json.dumps({"method": method, "args": list(args)}).encode())


def with_blob(proxy):
    """Images are open, and a blob's pipe is full that nobody reads."""
    images = [proxy.open(r) for r in references for _ in range(2)]
    layer = max(json.loads(proxy.piped("GetManifest", images[0])[0])["layers"], key=lambda x: x["size"])
    reply, fds = proxy.call("GetBlob", images[0], layer["digest"], layer["size"])
    assert reply["success"] and len(fds) == 1, reply
    return reply["pipeid"], fds[0]


def close(proxy):
    with_blob(proxy)
    proxy.sock.close()


def shutdown(proxy):
    with_blob(proxy)
    send(proxy, "Shutdown")


def finishing(proxy):
    """While the server waits for skopeo, which waits for the pipe."""
    pipeid, fd = with_blob(proxy)
    send(proxy, "FinishPipe", pipeid)
    proxy.sock.close()
    os.close(fd)


def opening(proxy):
    proxy.open(references[1])
    send(proxy, "OpenImage", references[0])
    proxy.sock.close()


def terminated(proxy):
    """As the client's own death is told to it (PR_SET_PDEATHSIG)."""
    with_blob(proxy)
    proxy.process.send_signal(signal.SIGTERM)


for leave in (close, shutdown, finishing, opening, terminated):
    p = Proxy(argv)
    leave(p)
    status = p.process.wait(timeout=60)
    assert status == 0, (leave.__name__, status)
