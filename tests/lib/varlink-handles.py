#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a service of a repository says of handles, and of a repository that is to be made:
varlink-handles.py SOCKET REPOSITORY

The repository is not there yet. Prints one line for each call, which is the same for each service; of
texts, which are each service's own, only that there is one."""
import os
import shutil
import sys

from varlink_client import Connection

path, repo = sys.argv[1:]
OCI, REPO = "org.composefs.Oci.", "org.composefs.Repository."
NONE = "sha256:" + "0" * 64


def say(label, connection, method, **parameters):
    reply, fds = connection.call(method, parameters)
    assert not fds
    values = {k: "text" if k == "message" else v for k, v in (reply.get("parameters") or {}).items()}
    print(label, method, {k: v for k, v in parameters.items() if k != "path"}, reply.get("error"), values)


def layers(*connections):
    for i, c in enumerate(connections):
        for handle in range(6):
            say("connection %d" % i, c, OCI + "HasLayer", handle=handle, diff_id=NONE)


a, b = Connection(path), Connection(path)
layers(a)
for handle in 0, 1, 99:
    say("a", a, REPO + "CloseRepository", handle=handle)

# A repository that is to be made, and one that is there.
for method in "InitRepository", "EnsureRepository":
    for label, where, more in (
            ("unknown algorithm", repo, {"algorithm": "x"}), ("empty algorithm", repo, {"algorithm": ""}),
            ("half an algorithm", repo, {"algorithm": "fsverity-sha256"}),
            ("unknown algorithm elsewhere", "/nonexistent/repo", {"algorithm": "sha512"}),
            ("new", repo, {"insecure": True}), ("again", repo, {}), ("named", repo, {"algorithm": "fsverity-sha512-12"}),
            ("another algorithm", repo, {"algorithm": "fsverity-sha256-12"})):
        say(label, a, REPO + method, path=where, **more)
    shutil.rmtree(repo)
    os.makedirs(repo)
    say("empty directory", a, REPO + method, path=repo, algorithm="fsverity-sha256-12", insecure=True)
    say("default of another", a, REPO + method, path=repo)
    if method == "InitRepository":
        shutil.rmtree(repo)
os.unlink(repo + "/meta.json")
os.mkdir(repo + "/objects")
say("no objects and no meta.json", a, REPO + "EnsureRepository", path=repo, insecure=True)
os.rmdir(repo + "/objects")
say("at last", a, REPO + "EnsureRepository", path=repo, insecure=True)

# Handles count up, and are good on both connections.
for c in a, a, b:
    say("open", c, REPO + "OpenRepository", path=repo)
layers(a, b)
say("b closes a's", b, REPO + "CloseRepository", handle=1)
say("again", a, REPO + "CloseRepository", handle=1)
layers(a, b)
for method in "ListImages", "Check":
    say("closed", a, OCI + method, handle=1)
say("closed", a, REPO + "Fsck", handle=1)
say("closed", a, REPO + "ListImageRefs", handle=1)
# A connection that ends closes nothing.
a.close()
c = Connection(path)
layers(b, c)
for handle in 2, 3:
    say("c", c, REPO + "CloseRepository", handle=handle)
say("no number comes twice", c, REPO + "OpenRepository", path=repo)
layers(b, c)
