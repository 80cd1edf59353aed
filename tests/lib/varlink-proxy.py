#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenVarlinkSocket of the image proxy: varlink-proxy.py PROGRAM STORESPEC IMAGE LAYOUT FOLDER DIFFID…"""
import json
import os
import socket
import sys

from proxy_client import Proxy
from varlink_client import Connection, get_layer

program, spec, image, layout, folder, *diff_ids = sys.argv[1:]
OCI = "org.composefs.Oci."
graphroot, runroot = spec.strip("[]").split("@")[1].split("+")
# The store is the default one, too.
with open(folder + "/storage.conf", "w") as f:
    f.write(f'[storage]\ndriver = "overlay"\ngraphroot = "{graphroot}"\nrunroot = "{runroot}"\n')
env = {**os.environ, "CONTAINERS_STORAGE_CONF": folder + "/storage.conf"}
argv = [program, "experimental-image-proxy"]
proxy = Proxy(argv + ["--insecure-policy"], env=env)


def connect(*args, proxy=proxy):
    reply, fds = proxy.call("OpenVarlinkSocket", *args)
    assert reply["success"] and reply["value"] is None and reply["pipeid"] == 0, reply
    assert len(fds) == 1
    return Connection(socket.socket(fileno=fds[0]))


def refused(*args, proxy=proxy):
    reply, fds = proxy.call("OpenVarlinkSocket", *args)
    assert not reply["success"] and not fds, (reply, fds)
    return reply["error"]


number = proxy.open("containers-storage:" + spec + image)
for args in ([], [""], [spec], [number]):
    c = connect(*args)
    reply, _ = c.call(OCI + "GetInfo")
    assert "splitdirfdstream-v0" in reply["parameters"]["features"]
    for diff_id in diff_ids:
        assert c.call(OCI + "HasLayer", {"handle": 0, "diff_id": diff_id})[0]["parameters"]["present"]
        digest, kinds = get_layer(c, diff_id=diff_id, more=True, consumer_has_cap_dac_override=True)
        assert digest == diff_id, (digest, diff_id)
        assert kinds[2] > 0
    # By its place in the store: not on a socket that is for one image.
    with open(graphroot + "/overlay-layers/layers.json") as f:
        layer, = {x["id"] for x in json.load(f) if x.get("diff-digest") == diff_ids[0]}
    by_place = get_layer(c, storage={"storage_path": graphroot, "layer_id": layer})
    assert (by_place["error"] == OCI + "InvalidRequest") if args == [number] else (by_place[0] == diff_ids[0]), by_place
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
assert "expecting" in refused(None)
assert "is not in a containers-storage" in refused(proxy.open("oci:" + layout))
# What was checked is served, whatever comes to its path afterwards.
c = connect(spec)
os.rename(graphroot, graphroot + ".away")
try:
    os.mkdir(graphroot)
    assert get_layer(c, diff_id=diff_ids[0])[0] == diff_ids[0]
finally:
    os.rmdir(graphroot)
    os.rename(graphroot + ".away", graphroot)
c.close()
# A store is served only where the policy accepts all of it, whatever is named.
store, plain, yes, no = f"[overlay@{graphroot}]", f"[{graphroot}]", [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
signed = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nonexistent"}]
for default, scopes, served in ((yes, {}, True), (no, {}, False), (signed, {}, False), (no, {store: yes}, True),
                                (no, {"": yes}, True), (yes, {store: no}, False), (no, {store + "localhost/x": yes}, False),
                                (yes, {store + "localhost/x": no}, False), (yes, {store + "localhost": signed}, False),
                                (yes, {"[overlay@/elsewhere]": no}, True),
                                # The store without its driver is a scope of every image, too.
                                (yes, {plain: no}, False), (yes, {plain: signed}, False), (no, {plain: yes}, True),
                                (no, {store: yes, plain: no}, False), (no, {store: no, plain: yes}, False)):
    with open(folder + "/policy.json", "w") as f:
        json.dump({"default": default, "transports": {"containers-storage": scopes}}, f)
    other = Proxy(argv + ["--policy", folder + "/policy.json"], env=env)
    for args in ([], [spec]):
        if served:
            connect(*args, proxy=other).close()
        else:
            assert "the policy does not accept every image" in refused(*args, proxy=other), (default, scopes)
    assert other.close() == 0
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
