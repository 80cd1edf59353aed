#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service of a store against cfsctl's of a repository: varlink-store.py OURS CFSCTL ROOT REPO IMAGE

All layers go from one to the other; what each answers to wrong calls is compared."""
import json
import os
import sys

from varlink_client import Connection, get_layer

ours, theirs, root, repo, image = sys.argv[1:]
OCI = "org.composefs.Oci."
SERVICE = "org.varlink.service."
c, d = Connection(ours), Connection(theirs)


def good(connection, method, parameters=None, fds=(), **flags):
    reply, got = connection.call(method, parameters, fds, **flags)
    assert "error" not in reply, reply
    assert reply["continues"] is False
    return reply.get("parameters"), got


def error(connection, method, parameters=None, fds=()):
    reply, got = connection.call(method, parameters, fds)
    assert "error" in reply and not got, reply
    return reply


# The service about itself: the same keys and the same kinds as cfsctl's.
info, theirs_info = good(c, SERVICE + "GetInfo")[0], good(d, SERVICE + "GetInfo")[0]
assert list(info) == list(theirs_info)
assert info["interfaces"] == ["org.composefs.Oci", "org.varlink.service"]
for interface in info["interfaces"]:
    text = good(c, SERVICE + "GetInterfaceDescription", {"interface": interface})[0]["description"]
    assert "interface " + interface in text
call = (SERVICE + "GetInterfaceDescription", {"interface": "no.such"})
assert error(c, *call) == error(d, *call)
assert "splitdirfdstream-v0" in good(c, OCI + "GetInfo")[0]["features"]

# What is not served is an error, and the connection stays.
assert error(c, OCI + "Nothing") == {"error": SERVICE + "MethodNotFound", "parameters": {"method": OCI + "Nothing"}}
assert error(c, OCI + "PutLayer", {})["error"] == SERVICE + "MethodNotFound"
assert error(c, "org.composefs.Repository.OpenRepository", {"path": repo}) == {
    "error": SERVICE + "InterfaceNotFound", "parameters": {"interface": "org.composefs.Repository"}}
assert error(c, "nothing")["error"] == SERVICE + "MethodNotFound"
for parameters, name in [(None, "handle"), ({}, "handle"), ({"handle": "0", "diff_id": "x"}, "handle"),
                         ({"handle": 0.5, "diff_id": "x"}, "handle"), ({"handle": 0}, "diff_id"),
                         ({"handle": 0, "diff_id": None}, "diff_id"), ({"handle": 0, "diff_id": []}, "diff_id")]:
    assert error(c, OCI + "HasLayer", parameters) == {
        "error": SERVICE + "InvalidParameter", "parameters": {"parameter": name}}, parameters

# Images.
rows = good(c, OCI + "ListImages", {"handle": 0})[0]["images"]
assert [r["name"] for r in rows] == [image + ":latest"]
assert good(c, OCI + "ListImages", {"handle": 0, "filter": "no such"})[0] == {"images": []}
inspected = good(c, OCI + "Inspect", {"handle": 0, "image": image})[0]
assert inspected == good(c, OCI + "Inspect", {"handle": 0, "image": rows[0]["manifest_digest"]})[0]
assert error(c, OCI + "Inspect", {"handle": 0, "image": "nix"}) == {
    "error": OCI + "NoSuchImage", "parameters": {"image": "nix"}}

# Every layer, into cfsctl's repository: what comes out is the image.
handle = good(d, "org.composefs.Repository.OpenRepository", {"path": repo})[0]["handle"]
diff_ids = json.loads(inspected["config"])["rootfs"]["diff_ids"]
stored = {r["diff-digest"]: r["id"] for r in json.load(open(root + "/overlay-layers/layers.json"))}
layers = []
for diff_id in diff_ids:
    assert good(c, OCI + "HasLayer", {"handle": 0, "diff_id": diff_id})[0] == {"present": True, "layer_verity": None}
    locator = {"storage_path": root, "layer_id": stored[diff_id]}
    assert get_layer(c, storage=locator)[0] == diff_id
    # Private files are in the stream, unless the client can open them.
    private = get_layer(c, diff_id=diff_id, more=True)
    privileged = get_layer(c, diff_id=diff_id, consumer_has_cap_dac_override=True)
    assert private[0] == privileged[0] == diff_id
    assert private[1][1] >= privileged[1][1]
    reply, fds = good(c, OCI + "GetLayer", {"handle": 0, "params": {"diff_id": diff_id}})
    put, _ = good(d, OCI + "PutLayer", {"handle": handle, "diff_id": diff_id, "zerocopy": False},
                  fds[: 1 + reply["dir_count"]])
    for fd in fds:
        os.close(fd)
    layers.append({"diff_id": diff_id, "layer_verity": put["layer_verity"]})
done, _ = good(d, OCI + "FinalizeImage", {"handle": handle, "manifest_json": inspected["manifest"],
               "config_json": inspected["config"], "layers": layers, "name": "sent"})
assert done["manifest_digest"] == rows[0]["manifest_digest"]
theirs_row, = good(d, OCI + "ListImages", {"handle": handle})[0]["images"]
assert {**theirs_row, "name": rows[0]["name"]} == rows[0], (theirs_row, rows[0])
theirs_view = good(d, OCI + "Inspect", {"handle": handle, "image": "sent"})[0]
assert list(theirs_view) == list(inspected)
assert (theirs_view["manifest"], theirs_view["config"]) == (inspected["manifest"], inspected["config"])

# Wrong layers.
none = "sha256:" + "0" * 64
for wrong in ["x", "sha256:xyz", "sha256:" + "A" * 64]:
    assert get_layer(c, diff_id=wrong)["error"] == OCI + "InvalidDigest"
assert error(c, OCI + "HasLayer", {"handle": 0, "diff_id": "x"}) == error(
    d, OCI + "HasLayer", {"handle": handle, "diff_id": "x"})
assert get_layer(c, diff_id=none) == {"error": OCI + "NoSuchLayer", "parameters": {"diff_id": none}}
assert get_layer(d, handle=handle, diff_id=none) == get_layer(c, diff_id=none)
assert get_layer(c)["error"] == OCI + "InvalidRequest"
assert get_layer(c, storage={"storage_path": "/none", "layer_id": "x"})["error"] == OCI + "RepoNotFound"
assert get_layer(c, storage={"storage_path": os.path.dirname(root), "layer_id": "x"})["error"] == OCI + "RepoNotFound"
assert get_layer(c, storage={"storage_path": root, "layer_id": "../x"})["error"] == OCI + "NoSuchLayer"
assert get_layer(c, storage={"storage_path": root})["parameters"] == {"parameter": "layer_id"}
assert get_layer(c, storage=[])["parameters"] == {"parameter": "storage"}

# Oneway: no reply, also not to an error; calls may be sent ahead of replies.
c.send({"method": OCI + "GetInfo", "oneway": True})
c.send({"method": "nothing", "oneway": True})
for i in diff_ids:
    c.send({"method": OCI + "HasLayer", "parameters": {"handle": 0, "diff_id": i}})
c.send({"method": OCI + "GetLayer", "parameters": {"handle": 0, "params": {"diff_id": diff_ids[0]}}})
for i in diff_ids:
    assert c.receive()[0]["parameters"]["present"] is True
reply, fds = c.receive()
assert len(fds) == reply["parameters"]["dir_count"] + 2
