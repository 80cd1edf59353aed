#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ImageObjects and ListImageRefs of one repository by our service and by cfsctl's:
varlink-refs.py OURS CFSCTL REPO REF…"""
import os
import sys

from varlink_client import Connection

ours, theirs, repo, *refs = sys.argv[1:]
REPO = "org.composefs.Repository."
c, d = Connection(ours), Connection(theirs)
handles = [x.call(REPO + "OpenRepository", {"path": repo})[0]["parameters"]["handle"] for x in (c, d)]


def both(method, **parameters):
    return [x.call(REPO + method, {"handle": h, **parameters})[0] for x, h in zip((c, d), handles)]


a, b = (r["parameters"]["images"] for r in both("ListImageRefs"))
assert sorted(i["name"] for i in b) == sorted(refs), b
assert a == sorted(b, key=lambda i: i["name"]), (a, b)

names = [n for n in os.listdir(repo + "/images") if n != "refs"]
assert names
found = 0
for name in names + ["refs/" + r for r in refs] + [r for r in refs if "/" not in r]:
    a, b = both("ImageObjects", name=name)
    assert a == b and "error" not in a, (name, a, b)
    found += len(a["parameters"]["object_ids"])
assert found > 100, found
for name in ("nothing", "refs/nothing", "0" * 128, "refs/nothing/at/all", *(r for r in refs if "/" in r)):
    a, b = both("ImageObjects", name=name)
    assert a == b and a["error"] == REPO + "NoSuchRef", (name, a, b)
# Names that lead elsewhere: cfsctl follows them, this service has no image there.
for name in ("", ".", "..", "../meta.json", "/etc/passwd", "refs/../../objects", "x" * 5000):
    reply = c.call(REPO + "ImageObjects", {"handle": handles[0], "name": name})[0]
    assert reply == {"error": REPO + "NoSuchRef", "parameters": {"reference": name}}, reply
for method, more in (("ImageObjects", {"name": "x"}), ("ListImageRefs", {}), ("Fsck", {})):
    call = REPO + method, {"handle": 99, **more}
    assert c.call(*call)[0] == d.call(*call)[0] == {"error": REPO + "InvalidHandle", "parameters": {"handle": 99}}
