#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""org.composefs.Oci.Pull of our service against cfsctl's.

varlink-pull.py same OURS OURREPO CFSCTL CFSREPO REFERENCE [STOREROOT]
    one image into two empty repositories: frames, answers and errors are those of cfsctl
varlink-pull.py gone OURS PID REPO LAYOUT:TAG FIFO
    clients that go away while skopeo waits for FIFO, or for a layer of the layout
varlink-pull.py ending OURS REPO FIFO
    asks for a pull that waits, says so, and is there until the service ends
varlink-pull.py stranger OURS REPO
    as another user than root or the service's own"""
import json
import os
import sys
import threading
import time

from varlink_client import Connection

OCI, REPO, SERVICE = "org.composefs.Oci.", "org.composefs.Repository.", "org.varlink.service."
PULL = OCI + "Pull"
KINDS = {"started", "progress", "skipped", "done", "message", "completed"}


def parameters(image, handle, **more):
    return {"handle": handle, "image": image, "local_fetch": "auto", "bootable": False, **more}


def check_frames(replies):
    """The rules that every pull's frames keep: {kind: [frame]}."""
    frames, fetched, states = {}, {}, {}
    for n, (reply, fds) in enumerate(replies):
        assert not fds and "error" not in reply, reply
        ((kind, value),) = [(k, v) for k, v in reply["parameters"].items() if v is not None]
        assert kind in KINDS
        last = n == len(replies) - 1
        assert reply["continues"] is not last and (kind == "completed") is last, reply
        frames.setdefault(kind, []).append(value)
        if kind in ("message", "completed"):
            continue
        i = value["id"]
        before = states.get(i)
        if kind == "started":
            assert before is None and value["unit"] == "Bytes"
            totals[i] = value["total"]
        elif kind == "skipped":
            assert before is None
        else:
            assert before in ("started", "progress"), (before, kind)
        if kind == "progress":
            assert fetched.get(i, 0) < value["fetched"] <= (value["total"] or 1 << 62)
            assert value["total"] == totals[i]
            fetched[i] = value["fetched"]
        if kind == "done":
            assert value["transferred"] >= fetched.get(i, 0)
        states[i] = kind
    assert set(states.values()) <= {"done", "skipped"}, states
    return frames


totals = {}


def compare_frames(ours, theirs):
    assert {f["id"] for f in ours["started"]} == {f["id"] for f in theirs["started"]}
    assert {f["id"] for f in ours["done"]} == {f["id"] for f in theirs["done"]}
    assert "skipped" not in ours and "skipped" not in theirs
    # Layers of more than a MiB tell of their progress here, and wherever cfsctl does.
    assert "progress" in ours
    for kind in ours:
        if kind in theirs and kind != "message":
            assert list(ours[kind][0]) == list(theirs[kind][0]), kind
    (a,), (b,) = ours["completed"], theirs["completed"]
    for key in ("manifest_digest", "config_digest", "boot_image", "boot_image_mode", "boot_image_format_version"):
        assert a[key] == b[key], (key, a, b)
    for key in ("manifest_verity", "config_verity"):
        assert len(a[key]) == len(b[key])
    # Hard links are what cfsctl makes where there are no reflinks.
    if "hardlinked" not in b["stats"]:
        assert a["stats"].split(";")[0] == b["stats"].split(";")[0], (a["stats"], b["stats"])


def same(ours, our_repo, theirs, their_repo, image, root=None):
    c, d = Connection(ours, 300), Connection(theirs, 300)
    handles = [x.call(REPO + "OpenRepository", {"path": p})[0]["parameters"]["handle"]
               for x, p in ((c, our_repo), (d, their_repo))]
    more = {"storage_root": root} if root else {}

    def both(flags=None, **change):
        calls = [{**parameters(image, h, name="image", **more), **change} for h in handles]
        if flags is None:
            return [x.call_more(PULL, p) for x, p in zip((c, d), calls)]
        return [x.call(PULL, p)[0] for x, p in zip((c, d), calls)]

    # What cannot be: before anything is pulled. cfsctl's texts are its own where it says InternalError.
    for change in ({"handle": 99}, {"expected_digest": "0" * 128},
                   {"expected_digest": "x", "bootable": True, "xattrs": "AllowlistOnly"}):
        a, b = both(1, **change)
        assert a == b and "error" in a, (change, a, b)
    for change in ({"expected_digest": "x", "bootable": True}, {"image": "oci:/nonexistent"},
                   {"image": "containers-storage:localhost/nonexistent"}):
        for flags in (1, None):
            a, b = both(flags, **change)
            if flags is None:
                a, b = a[-1][0], b[-1][0]
            assert a["error"] == b["error"] and list(a["parameters"]) == list(b["parameters"]), (change, a, b)
    assert c.call(PULL, {**parameters(image, handles[0]), "bootable": True})[0]["error"] == OCI + "InvalidRequest"
    for bad in ({"image": 1}, {"local_fetch": None}, {"bootable": None}, {"xattrs": "Nothing"}):
        reply, _ = c.call(PULL, {**parameters(image, handles[0]), **bad})
        assert reply == {"error": SERVICE + "InvalidParameter", "parameters": {"parameter": list(bad)[0]}}, reply
    assert c.call(OCI + "ListImages", {"handle": handles[0]})[0]["parameters"] == {"images": []}

    # Without a name there is no tag.
    a, b = both(name=None)
    compare_frames(check_frames(a), check_frames(b))
    for x, h in zip((c, d), handles):
        assert x.call(OCI + "ListImages", {"handle": h})[0]["parameters"] == {"images": []}
    # Again, with one: only `completed` without `more`, and nothing is read.
    a, b = both(1)
    for reply in (a, b):
        assert list(reply["parameters"]) == ["completed"] and reply["continues"] is False
    assert list(a["parameters"]["completed"]) == list(b["parameters"]["completed"])
    frames = check_frames(both()[0])
    assert "started" not in frames and len(frames["skipped"]) == len(set(f["id"] for f in frames["skipped"]))
    views = [x.call(OCI + "Inspect", {"handle": h, "image": "image"})[0]["parameters"] for x, h in zip((c, d), handles)]
    assert views[0] == views[1]
    # A call that wants no answer gets none, and is done before the next one.
    c.send({"method": PULL, "parameters": parameters(image, handles[0], name="oneway", **more), "oneway": True})
    names = {i["name"] for i in c.call(OCI + "ListImages", {"handle": handles[0]})[0]["parameters"]["images"]}
    assert names == {"image", "oneway"}, names
    assert c.call(OCI + "Untag", {"handle": handles[0], "name": "oneway"})[0].get("error") is None


def state(pid):
    threads = os.listdir(f"/proc/{pid}/task")
    children = []
    for t in threads:
        try:
            children += open(f"/proc/{pid}/task/{t}/children").read().split()
        except FileNotFoundError:
            pass
    return len(os.listdir(f"/proc/{pid}/fd")), len(threads), len(children)


def settles(pid, wanted):
    """Threads may take a moment to see that a client has gone; the time is for slow machines only."""
    for _ in range(1200):
        if state(pid) == wanted:
            return
        time.sleep(0.05)
    raise AssertionError((state(pid), wanted))


def wait_for_reader(fifo):
    """Opens it when somebody has opened the other end: skopeo waits there then."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)


def feed(fd, data):
    try:
        os.write(fd, data)
    except BrokenPipeError:
        pass


def nothing_visible(repo):
    for folder in ("streams", "images"):
        for _, _, files in os.walk(f"{repo}/{folder}"):
            assert not files, files


def gone(path, pid, repo, image, fifo):
    layout, tag = image.rsplit(":", 1)
    other = Connection(path)
    handle = other.open(repo)
    assert other.call(OCI + "ListImages", {"handle": handle})[0]["parameters"] == {"images": []}
    before = state(pid)

    # skopeo waits for the image itself. Others are served meanwhile.
    c = Connection(path)
    c.send({"method": PULL, "parameters": parameters("docker-archive:" + fifo, handle, name="x"), "more": True})
    w = wait_for_reader(fifo)
    assert state(pid)[2] == 1
    assert other.call(OCI + "ListImages", {"handle": handle})[0]["parameters"] == {"images": []}
    c.close()
    settles(pid, before)
    os.close(w)

    # It waits in the middle of the largest layer, whose first half came.
    manifest = json.load(open(f"{layout}/index.json"))["manifests"][0]["digest"].split(":")[1]
    layers = json.load(open(f"{layout}/blobs/sha256/{manifest}"))["layers"]
    blob = max(layers, key=lambda l: l["size"])["digest"].split(":")[1]
    blob = f"{layout}/blobs/sha256/{blob}"
    data = open(blob, "rb").read()
    os.rename(blob, blob + ".away")
    os.mkfifo(blob)
    c = Connection(path)
    c.send({"method": PULL, "parameters": parameters("oci:" + image, handle, name="x"), "more": True})
    w = wait_for_reader(blob)
    os.set_blocking(w, True)
    feeder = threading.Thread(target=feed, args=(w, data[: len(data) // 2]))
    feeder.start()
    while "progress" not in (c.receive()[0] or {}).get("parameters", {}):
        pass
    c.close()
    settles(pid, before)
    feeder.join()
    os.close(w)
    nothing_visible(repo)

    # One that only closes its writing half still waits for the answer.
    os.unlink(blob)
    os.rename(blob + ".away", blob)
    c = Connection(path, 300)
    c.send({"method": PULL, "parameters": parameters("oci:" + image, handle, name="x")})
    c.sock.shutdown(1)
    assert list(c.receive()[0]["parameters"]) == ["completed"]
    assert c.receive()[0] is None
    # One that takes nothing does not stop its pull; what it did not take is not kept for it.
    c = Connection(path, 300)
    c.send({"method": PULL, "parameters": parameters("oci:" + image, handle, name="y"), "more": True})
    while not any(i["name"] == "y" for i in other.call(OCI + "ListImages", {"handle": handle})[0]["parameters"]["images"]):
        time.sleep(0.05)
    c.close()
    # The other client's repository has objects/ now, and keeps it open.
    settles(pid, (before[0] + 1, *before[1:]))


def ending(path, repo, fifo):
    c = Connection(path, 300)
    c.send({"method": PULL, "parameters": parameters("docker-archive:" + fifo, c.open(repo)), "more": True})
    w = wait_for_reader(fifo)
    print("waits", flush=True)
    assert c.receive()[0] is None
    os.close(w)


def stranger(path, repo):
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    c = Connection(path)
    handle = c.open(repo)
    assert c.call(OCI + "ListImages", {"handle": handle})[0]["parameters"] == {"images": []}
    reply, _ = c.call(PULL, parameters("dir:/root", handle))
    assert reply["error"] == SERVICE + "PermissionDenied", reply
    assert c.call(OCI + "ListImages", {"handle": handle})[0]["parameters"] == {"images": []}


{"same": same, "gone": gone, "ending": ending, "stranger": stranger}[sys.argv[1]](*sys.argv[2:])
