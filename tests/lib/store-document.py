#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes the documents of an image in a store as nobody's copy would: store-document.py ROOT NAME EDIT…
EDIT is a line of Python about `m` (the manifest), `c` (the config), both as objects; after the edits the config's
digest and size are put into the manifest. TWICE:NAME gives the manifest's config a member NAME for the second time. The image keeps its ID; its records get the new digests, as the storage library would write them."""
import base64
import hashlib
import json
import os
import sys

root, name = sys.argv[1:3]
folder = root + "/overlay-images"
with open(folder + "/images.json") as f:
    images = json.load(f)
image = next(i for i in images if name in i.get("names", []))


def path(key):
    plain = all(c in "abcdefghijklmnopqrstuvwxyz0123456789." for c in key)
    return "%s/%s/%s" % (folder, image["id"], key if plain else "=" + base64.b64encode(key.encode()).decode())


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(key, data):
    with open(path(key), "wb") as f:
        f.write(data)
    if key not in image["big-data-names"]:
        image["big-data-names"].append(key)
    image["big-data-sizes"][key] = len(data)
    image["big-data-digests"][key] = digest(data)


with open(path("manifest"), "rb") as f:
    m = json.load(f)
with open(path(m["config"]["digest"]), "rb") as f:
    config = f.read()
c = json.loads(config)
twice, before = None, json.dumps(c)
for edit in sys.argv[3:]:
    if edit.startswith("TWICE:"):
        twice = edit[6:]
    else:
        exec(edit)
if json.dumps(c) != before:
    config = json.dumps(c).encode()
m["config"].update(digest=digest(config), size=len(config))
put(m["config"]["digest"], config)
manifest = json.dumps(m)
if twice:
    manifest = manifest.replace('"config": {', '"config": {"%s": %s, ' % (twice, json.dumps(m["config"][twice])), 1)
manifest = manifest.encode()
put("manifest", manifest)
put("manifest-" + digest(manifest), manifest)
image["digest"] = digest(manifest)
with open(folder + "/images.json", "w") as f:
    json.dump(images, f)
