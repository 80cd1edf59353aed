#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenVarlinkSocket of the image proxy: varlink-proxy.py PROGRAM STORESPEC IMAGE DIFFID…"""
import os
import socket
import sys

from proxy_client import Proxy
from varlink_client import Connection, get_layer

program, spec, image, *diff_ids = sys.argv[1:]
OCI = "org.composefs.Oci."
proxy = Proxy([program, "experimental-image-proxy", "--insecure-policy"])


def connect(*args):
    reply, fds = proxy.call("OpenVarlinkSocket", *args)
    assert reply["success"] and reply["value"] is None and reply["pipeid"] == 0, reply
    assert len(fds) == 1
    return Connection(socket.socket(fileno=fds[0]))


def refused(*args):
    reply, fds = proxy.call("OpenVarlinkSocket", *args)
    assert not reply["success"] and not fds, (reply, fds)
    return reply["error"]


number = proxy.open("containers-storage:" + spec + image)
for args in ([spec], [number]):
    c = connect(*args)
    reply, _ = c.call(OCI + "GetInfo")
    assert "splitdirfdstream-v0" in reply["parameters"]["features"]
    for diff_id in diff_ids:
        assert c.call(OCI + "HasLayer", {"handle": 0, "diff_id": diff_id})[0]["parameters"]["present"]
        digest, kinds = get_layer(c, diff_id=diff_id, more=True, consumer_has_cap_dac_override=True)
        assert digest == diff_id, (digest, diff_id)
        assert kinds[2] > 0
    other = "sha256:" + "0" * 64
    assert get_layer(c, diff_id=other)["error"] == OCI + "NoSuchLayer"
    reply, _ = c.call(OCI + "ListImages", {"handle": 0})
    assert reply["error"] == "org.varlink.service.MethodNotImplemented", reply
    # The proxy answers beside it.
    assert proxy.value("GetManifest", number).startswith("sha256:")
    c.close()
assert "expecting" in refused(True)
assert "no image 99" in refused(99)
assert "a store is" in refused("/var/lib/containers/storage")
assert "found 2 args" in refused("", "")
# Sixteen at a time; one that the client has closed is free again.
held = [connect(number) for _ in range(16)]
assert "already" in refused(number)
held.pop().close()
for _ in range(100):
    reply, fds = proxy.call("OpenVarlinkSocket", number)
    if reply["success"]:
        break
assert reply["success"], reply
# A layer that nobody reads does not keep the proxy from ending.
last = Connection(socket.socket(fileno=fds[0]))
last.call(OCI + "GetLayer", {"handle": 0, "params": {"diff_id": diff_ids[0]}})
assert proxy.close() == 0
assert last.receive() == (None, [])
