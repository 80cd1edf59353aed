#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layers through get-layer | import-layer, from every source in every format.

wire-matrix.py SPLITFD STORE PULLED WORK PREFIX LAYOUTS < NAMES

For each NAME: the image PREFIX/NAME of STORE (root/, run/) and of the repository PULLED (tag NAME), made
of the OCI layout LAYOUTS/NAME with plain tars. Each layer goes from the store, from the repository and
from its tar on standard input, as splitfdstream, splitdirfdstream, tar and splitstream, into an empty
repository below WORK: the stream there must be PULLED's, and the tar the layer. Prints the differences
and counts; exits with 1 if there were any.
"""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys

FORMATS = ("splitfdstream", "splitdirfdstream", "tar", "splitstream")


def stream_name(repo, diff_id):
    try:
        return os.readlink(os.path.join(repo, "streams", "oci-layer-" + diff_id))
    except FileNotFoundError:
        return None


def layers_of(layout):
    """diff_id and the path of the tar of each layer, base first."""
    def blob(digest):
        return os.path.join(layout, "blobs", "sha256", digest.split(":")[1])
    index = json.load(open(os.path.join(layout, "index.json")))
    manifest = json.load(open(blob(index["manifests"][0]["digest"])))
    return [(layer["digest"], blob(layer["digest"])) for layer in manifest["layers"]]


class Matrix:
    def __init__(self, splitfd, store, pulled, work):
        self.splitfd, self.store, self.pulled, self.work = splitfd, store, pulled, work
        self.runs, self.faults = 0, 0

    def source(self, kind, image, name, tar):
        """The words of IMAGE, and what standard input is."""
        if kind == "store":
            return ["--root", self.store + "/root", "--runroot", self.store + "/run",
                    "--storage-driver", "overlay", image], subprocess.DEVNULL
        if kind == "composefs":
            return ["--repo", self.pulled, "composefs:" + name], subprocess.DEVNULL
        return ["tar:-"], open(tar, "rb")

    def empty(self):
        """A new repository, and its objects directory."""
        repo = os.path.join(self.work, "r")
        shutil.rmtree(repo, ignore_errors=True)
        subprocess.run([self.splitfd, "init", "--insecure", "--repo", repo], check=True,
                       stdout=subprocess.DEVNULL)
        os.makedirs(repo + "/objects", exist_ok=True)
        return repo

    def run(self, fmt, words, stdin, layer, diff_id, repo):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        objects = os.open(repo + "/objects", os.O_RDONLY | os.O_DIRECTORY)
        get, put = [self.splitfd, "get-layer"], [self.splitfd, "import-layer", "--repo", repo]
        if fmt == "splitstream":
            get += ["--objects", str(objects)]
        elif fmt != "tar":
            get += ["--fds", str(ours.fileno())]
            put += ["--fds", str(theirs.fileno())]
        if fmt != "splitstream":
            get += ["--format", fmt]
        producer = subprocess.Popen(get + words + [layer], stdin=stdin, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, pass_fds=(ours.fileno(), objects))
        consumer = subprocess.Popen(put + ["--format", fmt, diff_id], stdin=producer.stdout,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    pass_fds=(theirs.fileno(),))
        producer.stdout.close()
        ours.close()
        theirs.close()
        os.close(objects)
        said = consumer.communicate()[1] + producer.stderr.read()
        producer.stderr.close()
        return producer.wait(), consumer.returncode, said.decode(errors="replace")

    def fault(self, what):
        self.faults += 1
        print(what)

    def layer(self, kind, image, name, index, diff_id, tar):
        expected = stream_name(self.pulled, diff_id)
        layer = "0" if kind == "tar" else str(index)
        for fmt in FORMATS:
            words, stdin = self.source(kind, image, name, tar)
            repo = self.empty()
            got = self.run(fmt, words, stdin, layer, diff_id, repo)
            self.runs += 1
            if got[:2] != (0, 0) or stream_name(repo, diff_id) != expected or expected is None:
                self.fault("%s, layer %d, from %s, %s: %s, stream %s, not %s" %
                           (name, index, kind, fmt, got, stream_name(repo, diff_id), expected))
        words, stdin = self.source(kind, image, name, tar)
        data = subprocess.run([self.splitfd, "get-layer", "--format=tar"] + words + [layer],
                              stdin=stdin, stdout=subprocess.PIPE).stdout
        self.runs += 1
        if "sha256:" + hashlib.sha256(data).hexdigest() != diff_id:
            self.fault("%s, layer %d, from %s: the tar is not the layer" % (name, index, kind))


def main():
    splitfd, store, pulled, work, prefix, layouts = sys.argv[1:7]
    m = Matrix(splitfd, store, pulled, work)
    os.makedirs(work)
    seen, done = set(), 0
    for name in sys.stdin.read().split():
        # Of an image of very many layers, which are alike, the first few.
        for index, (diff_id, tar) in enumerate(layers_of(os.path.join(layouts, name))[:5]):
            if diff_id in seen:
                continue
            seen.add(diff_id)
            done += 1
            for kind in ("store", "composefs", "tar"):
                m.layer(kind, prefix + "/" + name, name, index, diff_id, tar)
    print("%d layers, %d runs, %d differences" % (done, m.runs, m.faults))
    sys.exit(1 if m.faults or not done else 0)


main()
