#!/usr/bin/env python3
"""Adds records to a store: crowd.py ROOT LAYERS IMAGES, until it has that many of each.

What is added has records and, for images, manifest and config, as the store's newest image has
them: what is read before a layer is found. There is no content behind it.
"""
import base64
import copy
import hashlib
import json
import os
import shutil
import sys

root, n_layers, n_images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def records(kind):
    path = os.path.join(root, f"overlay-{kind}", f"{kind}.json")
    with open(path) as f:
        return path, json.load(f)


def write(path, value):
    with open(path + ".new", "w") as f:
        json.dump(value, f)
    os.rename(path + ".new", path)


def crowd_layers():
    path, layers = records("layers")
    model, parent = layers[-1], ""
    added = []
    while len(layers) + len(added) < n_layers:
        layer = copy.deepcopy(model)
        layer["id"] = hashlib.sha256(f"layer {len(added)}".encode()).hexdigest()
        layer.pop("parent", None)
        if parent and len(added) % 2:
            layer["parent"] = parent
        for key in ("diff-digest", "compressed-diff-digest"):
            layer[key] = "sha256:" + hashlib.sha256(f"diff {len(added)}".encode()).hexdigest()
        parent = layer["id"]
        added.append(layer)
    write(path, added + layers)
    return [layer["id"] for layer in added]


def crowd_images(layer_ids):
    path, images = records("images")
    model = images[-1]
    added = []
    while len(images) + len(added) < n_images:
        n = len(added)
        image = copy.deepcopy(model)
        old, new = model["id"], hashlib.sha256(f"image {n}".encode()).hexdigest()
        image = json.loads(json.dumps(image).replace(old, new))
        image["names"] = [f"localhost/crowd-{n}:latest"]
        image.pop("names-history", None)
        image["layer"] = layer_ids[min(2 * n + 1, len(layer_ids) - 1)]
        folder = os.path.join(root, "overlay-images")
        shutil.copytree(os.path.join(folder, old), os.path.join(folder, new))

        def key(i):
            return "=" + base64.b64encode(f"sha256:{i}".encode()).decode()

        os.rename(os.path.join(folder, new, key(old)), os.path.join(folder, new, key(new)))
        added.append(image)
    write(path, added + images)


crowd_images(crowd_layers())
