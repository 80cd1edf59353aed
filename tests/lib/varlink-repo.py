#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our service of a repository against cfsctl's of another, which has IMAGE:
varlink-repo.py OURS OURREPO CFSCTL CFSREPO IMAGE

The image goes from there to here; then both give the same answers to the same calls."""
import json
import os
import sys

from varlink_client import Connection, get_layer

ours, our_repo, theirs, their_repo, image = sys.argv[1:]
OCI, REPO, SERVICE = "org.composefs.Oci.", "org.composefs.Repository.", "org.varlink.service."
c, d = Connection(ours), Connection(theirs)


def good(connection, method, parameters=None, fds=()):
    reply, _ = connection.call(method, parameters, fds)
    assert "error" not in reply, (method, reply)
    return reply.get("parameters")


def error(connection, method, parameters=None, fds=()):
    reply, got = connection.call(method, parameters, fds)
    assert "error" in reply and not got, reply
    return reply


opened, their_opened = (good(x, REPO + "OpenRepository", {"path": p}) for x, p in [(c, our_repo), (d, their_repo)])
assert list(opened) == list(their_opened)
assert {**opened, "handle": 0} == {**their_opened, "handle": 0}
h, t = opened["handle"], their_opened["handle"]
assert good(c, REPO + "InitRepository", {"path": our_repo, "insecure": True}) == {"created": False}
assert error(c, REPO + "OpenRepository", {"path": their_repo})["error"] == REPO + "RepoNotFound"
assert error(c, REPO + "InitRepository", {"path": our_repo + "/new"})["error"] == REPO + "RepoNotFound"
assert not os.path.exists(our_repo + "/new")
for spec in [{}, {"path": our_repo, "user": True}]:
    assert error(c, REPO + "OpenRepository", spec)["error"] == error(d, REPO + "OpenRepository", spec)["error"]
for method, more in [("ListImages", {}), ("HasLayer", {"diff_id": "sha256:" + "0" * 64}), ("Inspect", {"image": "x"})]:
    call = OCI + method, {"handle": 99, **more}
    assert error(c, *call) == error(d, *call)
assert error(c, OCI + "OciMount", {})["error"] == SERVICE + "MethodNotImplemented"

# Every layer, by PutLayer; twice.
view = good(d, OCI + "Inspect", {"handle": t, "image": image})
layers = []
for diff_id in json.loads(view["config"])["rootfs"]["diff_ids"]:
    assert good(c, OCI + "HasLayer", {"handle": h, "diff_id": diff_id}) == {"present": False, "layer_verity": None}
    for present in (False, True):
        replies = d.call_more(OCI + "GetLayer", {"handle": t, "params": {"diff_id": diff_id}})
        fds = [fd for _, some in replies for fd in some]
        n = replies[0][0]["parameters"]["dir_count"]
        put = good(c, OCI + "PutLayer", {"handle": h, "diff_id": diff_id, "zerocopy": True}, fds[: 1 + n])
        for fd in fds:
            os.close(fd)
        assert put["already_present"] is present, put
    has = good(c, OCI + "HasLayer", {"handle": h, "diff_id": diff_id})
    assert has == {"present": True, "layer_verity": put["layer_verity"]}
    layers.append({"diff_id": diff_id, "layer_verity": put["layer_verity"]})
    # And out again, to a reader that knows only the format.
    assert get_layer(c, handle=h, diff_id=diff_id, more=True)[0] == diff_id

# What cannot be put.
none = "sha256:" + "0" * 64
r, w = os.pipe()
os.close(w)
null = os.open("/", os.O_RDONLY)
put = OCI + "PutLayer", {"handle": h, "diff_id": none, "zerocopy": False}
their_put = OCI + "PutLayer", {"handle": t, "diff_id": none, "zerocopy": False}
assert error(c, *put, [r]) == error(d, *their_put, [r])
a, b = error(c, *put, [r, null]), error(d, *their_put, [r, null])
assert a == b, (a, b)
assert error(c, OCI + "PutLayer", {"handle": h, "diff_id": "x", "zerocopy": False}, [r, null]) == error(
    d, OCI + "PutLayer", {"handle": t, "diff_id": "x", "zerocopy": False}, [r, null])
for bad in [b"\x05", b"\0\5\0\0\0abc", b"\2" + b"\4\0\0\0\0\0\0\0" + b"\7\0\0\0" + b"\1\0\0\0" + b"x",
            b"\2" + b"\4\0\0\0\0\0\0\0" + b"\0\0\0\0" + b"\6\0\0\0" + b"../etc"]:
    r, w = os.pipe()
    os.write(w, bad)
    os.close(w)
    assert error(c, *put, [r, null])["error"] == OCI + "InternalError"
# Descriptors of the wrong kind: a directory as the stream, a file as the directory.
assert error(c, *put, [null, null])["error"] == OCI + "InternalError"
assert not good(c, OCI + "HasLayer", {"handle": h, "diff_id": none})["present"]

# The image.
final = {"manifest_json": view["manifest"], "config_json": view["config"], "layers": layers, "name": image}
wrong = [{**layers[0], "layer_verity": "0" * 128}, *layers[1:]]
assert error(c, OCI + "FinalizeImage", {"handle": h, **final, "layers": wrong})["error"] == OCI + "InvalidRequest"
assert error(c, OCI + "FinalizeImage", {"handle": h, **final, "layers": layers[1:]})["error"] == OCI + "InvalidRequest"
missing = [{**layers[0], "diff_id": none}, *layers[1:]]
assert error(c, OCI + "FinalizeImage", {"handle": h, **final, "layers": missing}) == {
    "error": OCI + "NoSuchLayer", "parameters": {"diff_id": none}}
assert error(c, OCI + "FinalizeImage", {"handle": h, **final, "config_json": "{"})["error"] == OCI + "InvalidRequest"
done = good(c, OCI + "FinalizeImage", {"handle": h, **final})
assert done == good(c, OCI + "FinalizeImage", {"handle": h, **final})
digest = done["manifest_digest"]

# The same questions, the same answers.
for method, more in [("ListImages", {}), ("ListImages", {"filter": "nothing"}), ("Inspect", {"image": image}),
                     ("Inspect", {"image": "@" + digest}),
                     ("ComputeId", {"image": image, "bootable": False}),
                     ("ComputeId", {"image": image, "bootable": False, "xattrs": "KeepUserXattrs"})]:
    a, b = good(c, OCI + method, {"handle": h, **more}), good(d, OCI + method, {"handle": t, **more})
    assert a == b, (method, a, b)
check, their_check = (good(x, OCI + "Check", {"handle": n}) for x, n in [(c, h), (d, t)])
assert check["ok"] and check["repo"]["ok"], check
assert list(check) == list(their_check) and list(check["repo"]) == list(their_check["repo"])
assert (check["images_checked"], check["errors"]) == (their_check["images_checked"], [])
fsck = good(c, REPO + "Fsck", {"handle": h, "metadata_only": True})
assert fsck["ok"] and list(fsck) == list(good(d, REPO + "Fsck", {"handle": t, "metadata_only": True}))

# Tags.
for x, n in [(c, h), (d, t)]:
    assert good(x, OCI + "Tag", {"handle": n, "manifest_digest": digest, "name": "other/tag:1"}) in (None, {})
names = [sorted(i["name"] for i in good(x, OCI + "ListImages", {"handle": n})["images"]) for x, n in [(c, h), (d, t)]]
assert names[0] == names[1] == sorted([image, "other/tag:1"])
for x, n in [(c, h), (d, t)]:
    assert good(x, OCI + "Untag", {"handle": n, "name": "other/tag:1"}) in (None, {})
a, b = (error(x, OCI + "Inspect", {"handle": n, "image": "nothing"}) for x, n in [(c, h), (d, t)])
assert a == b, (a, b)
# Where cfsctl says InternalError, the error that there is for it.
assert error(c, OCI + "ComputeId", {"handle": h, "image": "nothing", "bootable": False}) == a
assert error(c, OCI + "Tag", {"handle": h, "manifest_digest": "x", "name": "n"})["error"] == OCI + "InvalidDigest"
assert error(c, OCI + "Tag", {"handle": h, "manifest_digest": none, "name": "n"})["error"] == OCI + "NoSuchImage"
assert error(c, OCI + "Untag", {"handle": h, "name": "nothing"})["error"] == OCI + "NoSuchImage"

assert good(c, REPO + "CloseRepository", {"handle": h}) in (None, {})
call = OCI + "ListImages", {"handle": h}
assert error(c, *call) == {"error": OCI + "InvalidHandle", "parameters": {"handle": h}}
assert error(c, REPO + "CloseRepository", {"handle": h}) == {
    "error": REPO + "InvalidHandle", "parameters": {"handle": h}}
