#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manifests and configs made by chance, judged by cfsctl and by splitfd:
    oci-documents.py CFSCTL SPLITFD DIRECTORY SEED COUNT
Batches of documents are written below DIRECTORY into repositories of sha512, as no writer of ours would: each
one tagged, its streams in order, so that only the document's own text decides. Then both programs check
(`oci fsck --json`, `fsck --json`) and list (`oci images --json`, `images --json`) what is there. Equal means: both
accept and list the same, or both refuse. What differs must be one of EXCEPTIONS. Prints a line for each
exception with how often it was seen, and exits 1 with the first documents that differ without being one.

    oci-documents.py index CFSCTL SPLITFD DIRECTORY SEED COUNT
index.json of an OCI layout, pulled by both. It belongs to the source, and skopeo (Go) reads it for splitfd, oci-spec
for cfsctl; nothing of it is stored. So where splitfd refuses, skopeo has; where both accept, the image is the same;
and what is stored is clean to cfsctl."""
import collections
import hashlib
import io
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile

# What splitfd refuses and cfsctl does not, with the reason. The first whose test holds counts: `test` takes the text
# that splitfd gives for its refusal.
EXCEPTIONS = [
    ("array for an object", r"is an array, not an object",
     "serde reads a struct from an array, by position; nothing else does, and it is no OCI document"),
    ("two spellings", r"in two spellings",
     "Go takes names without case and lets the last count: podman and cfsctl would read different images"),
    ("not UTF-8", r"it is not UTF-8",
     "serde looks at what it reads only; `cfsctl oci inspect` fails on the same document"),
    ("levels", r"nested too deeply",
     "beyond 10,000 levels, where podman and skopeo stop"),
    ("docker's config type", r"config\.mediaType' is docker's",
     "an artifact to cfsctl, whose layers would be named by their blobs; an image to podman"),
    ("NUL", r"holds a NUL",
     "no media type, architecture, os or time has one, and programs in C would read half of it"),
]
BATCH = 500
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER = bytes(1024)


class Raw(str):
    """JSON text as it is, in place of a value."""


class Members(list):
    """An object as its (name, value) pairs: names may repeat. A name may be Raw: then with its quotes."""


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- documents -----------------------------------------------------------------------------------------------------

def members(value):
    if isinstance(value, dict):
        return Members((k, members(v)) for k, v in value.items())
    if isinstance(value, list):
        return [members(v) for v in value]
    return value


def dump(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Members):
        return "{" + ",".join((k if isinstance(k, Raw) else json.dumps(k)) + ":" + dump(v) for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def descriptor(kind, content, **more):
    return {"mediaType": kind, "digest": sha256(content), "size": len(content), **more}


def good_config():
    return {"created": "2024-01-02T03:04:05Z", "author": "me", "architecture": "amd64", "os": "linux",
            "os.version": "1", "os.features": ["a"], "variant": "v2",
            "config": {"User": "u", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"], "Entrypoint": ["/e"], "Cmd": ["c"],
                       "Volumes": {"/v": {}}, "WorkingDir": "/", "Labels": {"a": "b"}, "StopSignal": "TERM"},
            "rootfs": {"type": "layers", "diff_ids": [sha256(LAYER)]},
            "history": [{"created": "2024-01-02T03:04:05Z", "author": "me", "created_by": "x", "comment": "c",
                         "empty_layer": True}]}


def good_manifest(config, config_type=CONFIG_TYPE):
    platform = {"architecture": "amd64", "os": "linux", "os.version": "1", "os_version": "1", "os_features": ["f"],
                "variant": "v", "features": ["f"]}
    return {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": "a/b",
            "config": descriptor(config_type, config, annotations={"a": "b"}, data="e30="),
            "layers": [descriptor(LAYER_TYPE, LAYER, urls=["http://x/"], annotations={"a": "b"}, platform=platform,
                                  artifactType="a/b")],
            "subject": descriptor(MANIFEST_TYPE, b"{}"), "annotations": {"a": "b"}}


NUMBERS = ["0", "-0", "1", "-1", "1.0", "1e2", "1E+2", "1e999", "-1e999", "2147483648", "4294967295", "4294967296",
           "9007199254740991", "9007199254740993", "9223372036854775807", "9223372036854775808",
           "18446744073709551615", "18446744073709551616", "1" + "0" * 400, "01", "+1", ".5", "1.", "1e", "0x10",
           "NaN", "Infinity", "-"]
STRINGS = ['""', '"x"', '"\\u0000"', '"a\\u0000b"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00x"', '"\\ud800\\ud800"',
           '"\\ud800\\n"', '"\\u12"', '"\\x41"', '"\\/"', '"\\b\\f\\n\\r\\t\\\\\\""', '"\x01"', '"\x7f"', '"\n"', "'x'",
           '"\u2028"', '"\ufeff"', '"\U0010ffff"', '"unended', '"amd64"', '"linux"', '"\\uD83D\\uDE00"']
TYPES = [MANIFEST_TYPE, CONFIG_TYPE, LAYER_TYPE, LAYER_TYPE + "+gzip", "application/vnd.oci.image.index.v1+json",
         "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json",
         "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.empty.v1+json", CONFIG_TYPE + " ",
         CONFIG_TYPE.upper(), CONFIG_TYPE + "\0", "text/plain"]
DIGESTS = ["sha256:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha512:" + "a" * 128, "sha512:" + "a" * 64,
           "sha384:" + "0" * 96, "md5:abc", "a+b.c_d-e:Az0=_-", "a++b:c", "+a:b", "a:", ":a", "a", "A:b", "a:b/c", "a:b:c",
           "sha256:" + "a" * 64 + "\0", sha256(LAYER)]
OTHERS = ["null", "true", "false", "{}", "[]", "[null]", '["x"]', "[{}]", '{"a":"b"}', '{"a":null}', '{"a":{}}',
          '{"a":[]}', '{"a":[1]}', '{"a":1}', "[[]]", "nul", "tru", "True", "", "undefined", "[1,]", '{"a":1,}', "{,}",
          '{"a"}', "{1:2}", "[1 2]"]


def some_value(rng):
    pool = rng.choice([NUMBERS, STRINGS, OTHERS, OTHERS, TYPES, DIGESTS])
    value = rng.choice(pool)
    return value if pool in (TYPES, DIGESTS) else Raw(value)


def deep(rng):
    n = rng.choice([5, 100, 127, 128, 129, 1000, 9990, 10010])
    return Raw("[" * n + "]" * n if rng.random() < .5 else '{"a":' * n + "1" + "}" * n)


def places(value, found):
    """Every container of the document, with what is in it."""
    if isinstance(value, Members):
        found.append(value)
        for _, v in value:
            places(v, found)
    elif isinstance(value, list):
        found.append(value)
        for v in value:
            places(v, found)
    return found


def other_case(rng, name):
    return rng.choice([name.upper(), name.capitalize(), name.lower(), name.swapcase()])


def escaped_name(rng, name):
    at = rng.randrange(len(name)) if name else 0
    return Raw('"' + name[:at] + "".join("\\u%04x" % ord(c) for c in name[at:at + 1]) + name[at + 1:] + '"')


def change_object(rng, o):
    i = rng.randrange(len(o)) if o else 0
    what = rng.randrange(12)
    if not o or what == 0:
        o.insert(rng.randint(0, len(o)), (rng.choice(["unknown", "x", "os.version", "Extra"]),
                                          deep(rng) if rng.random() < .2 else some_value(rng)))
    elif what <= 2:
        del o[i]
    elif what <= 7:
        o[i] = (o[i][0], some_value(rng))
    elif what == 8:
        o.insert(rng.randint(0, len(o)), (o[i][0], o[i][1] if rng.random() < .5 else some_value(rng)))
    elif what == 9:
        name = other_case(rng, o[i][0]) if not isinstance(o[i][0], Raw) else "x"
        o[i] = (name, o[i][1])
    elif what == 10:
        name = other_case(rng, o[i][0]) if not isinstance(o[i][0], Raw) else "x"
        o.append((name, some_value(rng)))
    elif not isinstance(o[i][0], Raw):
        o[i] = (rng.choice([escaped_name(rng, o[i][0]), Raw('"\\ud800"'), Raw('"\x02"'), Raw("x"), Raw('""')]), o[i][1])


def change_list(rng, a):
    what = rng.randrange(4)
    if not a or what == 0:
        a.insert(rng.randint(0, len(a)), some_value(rng))
    elif what == 1:
        del a[rng.randrange(len(a))]
    elif what == 2:
        a[rng.randrange(len(a))] = some_value(rng)
    else:
        a.append(a[rng.randrange(len(a))])


def as_array(rng, document):
    """One object in the form of an array of its values."""
    found = [(o, i) for o in places(document, []) if isinstance(o, Members)
             for i in range(len(o)) if isinstance(o[i][1], Members)]
    if found:
        o, i = rng.choice(found)
        o[i] = (o[i][0], [v for _, v in o[i][1]])


def change_text(rng, text):
    """What no tree of values could hold."""
    data = text.encode("utf-8", "surrogatepass")
    at = rng.randrange(len(data) + 1)
    return rng.choice([
        lambda: b"\xef\xbb\xbf" + data, lambda: data + rng.choice([b"x", b"{}", b"\0", b" \n\t\r", b"\x0b", b"//"]),
        lambda: rng.choice([b" ", b"\n\t\r ", b"\x0c", b"\xa0"]) + data, lambda: data[:at],
        lambda: data[:at] + bytes([rng.randrange(256)]) + data[at:],
        lambda: data[:at] + rng.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0", b"\\", b'"']) +
        data[at:],
        lambda: data.replace(b",", b" ,\n", 3), lambda: data.replace(b":", b"\t: ", 3),
        lambda: data[:max(at - 1, 0)] + data[at:],
    ])()


def change(rng, document):
    document = members(document)
    for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
        if rng.random() < .03:
            as_array(rng, document)
            continue
        container = rng.choice(places(document, []))
        (change_object if isinstance(container, Members) else change_list)(rng, container)
    text = dump(document)
    return change_text(rng, text) if rng.random() < .12 else text.encode("utf-8", "surrogatepass")


# --- a repository --------------------------------------------------------------------------------------------------

def verity(data):
    level = data
    while True:
        hashes = [hashlib.sha512(level[i:i + 4096].ljust(4096, b"\0")).digest() for i in range(0, max(len(level), 1), 4096)]
        if len(hashes) == 1:
            break
        level = b"".join(hashes)
    return hashlib.sha512(struct.pack("<BBBBIQ64s", 1, 2, 12, 0, 0, len(data), hashes[0]).ljust(256, b"\0")).digest()


def zstd(data):
    """One frame with one block that is not compressed; no library needed."""
    n = len(data)
    size = struct.pack("<B", n) if n < 256 else struct.pack("<H", n - 256)
    return b"\x28\xb5\x2f\xfd" + (b"\x20" if n < 256 else b"\x60") + size + struct.pack("<I", n << 3 | 1)[:3] + data


class Repository:
    def __init__(self, splitfd, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run([splitfd, "init", "--insecure", "--repo", path], check=True, stdout=subprocess.DEVNULL)
        os.makedirs(path + "/streams/refs/oci")
        self.layer = self.stream("oci-layer-" + sha256(LAYER), b"ocilayer", struct.pack("<q", -len(LAYER)) + LAYER, len(LAYER), [], [])

    def put(self, data):
        name = verity(data)
        path = "%s/objects/%s" % (self.path, name.hex()[:2])
        os.makedirs(path, exist_ok=True)
        with open("%s/%s" % (path, name.hex()[2:]), "wb") as f:
            f.write(data)
        return name

    def stream(self, name, kind, chunks, size, objects, references):
        targets = list(dict.fromkeys(target for _, target in references))
        named = b"".join(sorted(b"%d:%s\0" % (targets.index(target), r) for r, target in references))
        parts = [b"".join(targets), b"".join(objects), zstd(named), zstd(chunks)]
        at, ranges = 112, []
        for part in parts:
            ranges.append((at, at + len(part)))
            at += len(part)
        head = b"SplitStream\0" + struct.pack("<HBBQQ", 0, 2, 12, 32, 112)
        head += b"".join(struct.pack("<QQ", *ranges[i]) for i in (0, 1, 3, 2)) + kind + struct.pack("<Q", size)
        digest = self.put(head + b"".join(parts))
        if name:
            link = "%s/streams/%s" % (self.path, name)
            if not os.path.lexists(link):
                os.symlink("../objects/%s/%s" % (digest.hex()[:2], digest.hex()[2:]), link)
        return digest

    def document(self, name, kind, data, references):
        return self.stream(name, kind, bytes(8), len(data), [self.put(data)], references)

    def image(self, tag, manifest, config):
        layer = (sha256(LAYER).encode(), self.layer)
        stream = self.document("oci-config-" + sha256(config), b"ociconfg", config, [layer])
        name = "oci-manifest-" + sha256(manifest)
        self.document(name, b"ocimanif", manifest, [(("config:" + sha256(config)).encode(), stream), layer])
        os.symlink("../../" + name, "%s/streams/refs/oci/%s" % (self.path, tag))


# --- the two judges ------------------------------------------------------------------------------------------------

def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(done.stdout)


def errors_of(report):
    """Tag: the first error of that image."""
    found = {}
    for error in report["errors"]:
        text = error if isinstance(error, str) else json.dumps(error)
        match = re.search(r"\bt\d+\b", text)
        assert match, text
        found.setdefault(match.group(), text)
    return found


def facts(row):
    return {k: row[k] for k in ("manifest_digest", "is_container", "architecture", "os", "created", "layer_count")}


def images_of(report):
    return {row["name"]: facts(row) for row in report["images"]}


def judge(cfsctl, splitfd, repository):
    theirs = errors_of(run(cfsctl, "--repo", repository, "oci", "fsck", "--json"))
    ours = errors_of(run(splitfd, "fsck", "--repo", repository, "--json"))
    listed = images_of(run(cfsctl, "--repo", repository, "oci", "images", "--json"))
    our_list = images_of(run(splitfd, "images", "--repo", repository, "--json"))
    return theirs, ours, listed, our_list


def make(rng):
    """A document and what stands beside it: (manifest, config)."""
    config = json.dumps(good_config()).encode()
    kind = rng.randrange(5)
    if kind <= 1:
        config = change(rng, good_config())
        return json.dumps(good_manifest(config)).encode(), config
    if kind == 2:
        return change(rng, good_manifest(config, rng.choice(TYPES))), config
    return change(rng, good_manifest(config)), config


# --- indexes -------------------------------------------------------------------------------------------------------

def usr_layer():
    """cfsctl makes no image without /usr."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        usr = tarfile.TarInfo("usr")
        usr.type, usr.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(usr)
    return data.getvalue()


def make_layout(layout):
    """The blobs of one image; its manifest."""
    def put(data):
        with open("%s/blobs/sha256/%s" % (layout, sha256(data)[7:]), "wb") as f:
            f.write(data)
        return data
    os.makedirs(layout + "/blobs/sha256")
    with open(layout + "/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    layer, config = put(usr_layer()), good_config()
    config["rootfs"]["diff_ids"] = [sha256(layer)]
    config = put(json.dumps(config).encode())
    return put(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": descriptor(CONFIG_TYPE, config),
                           "layers": [descriptor(LAYER_TYPE, layer)]}).encode())


def good_index(manifest):
    return {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"a": "b"},
            "manifests": [descriptor(MANIFEST_TYPE, manifest, platform={"architecture": "amd64", "os": "linux"},
                                     annotations={"org.opencontainers.image.ref.name": "x"})]}


def indexes(cfsctl, splitfd, directory, seed, count):
    rng, verdicts, wrong = random.Random(seed), collections.Counter(), []
    shutil.rmtree(directory, ignore_errors=True)
    layout, repositories = directory + "/layout", (directory + "/theirs", directory + "/ours")
    manifest = make_layout(layout)
    for path in repositories:
        subprocess.run([splitfd, "init", "--insecure", "--repo", path], check=True, stdout=subprocess.DEVNULL)
    for _ in range(count):
        index = change(rng, good_index(manifest))
        with open(layout + "/index.json", "wb") as f:
            f.write(index)
        done = [subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in (
            [cfsctl, "--repo", repositories[0], "oci", "pull", "oci:%s:x" % layout, "t"],
            [splitfd, "pull", "--insecure-policy", "--repo", repositories[1], "oci:%s:x" % layout, "t"])]
        theirs, ours = (d.returncode == 0 for d in done)
        verdicts["both accept" if theirs and ours else "both refuse" if not theirs and not ours else
                 "only skopeo takes it" if ours else "only cfsctl takes it"] += 1
        said = [d.stdout.split(b"\n")[0] for d in done]
        if not ours and b"skopeo: " not in done[1].stderr or theirs and ours and said[0] != said[1]:
            wrong.append((index, done))
    clean = subprocess.run([cfsctl, "--repo", repositories[1], "oci", "fsck"], stdout=subprocess.PIPE)
    shutil.rmtree(directory)
    print("%d indexes, seed %d: %s" % (count, seed, dict(verdicts)))
    for index, done in wrong[:10]:
        print("%r\n  cfsctl:  %r\n  splitfd: %r" % (index, done[0], done[1]))
    sys.exit(1 if wrong or clean.returncode != 0 or not verdicts["both accept"] else 0)


def main():
    if sys.argv[1] == "index":
        indexes(*sys.argv[2:5], *(int(a) for a in sys.argv[5:7]))
    cfsctl, splitfd, directory, seed, count = sys.argv[1:4] + [int(a) for a in sys.argv[4:6]]
    rng = random.Random(seed)
    seen, wrong, verdicts = collections.Counter(), [], collections.Counter()
    os.makedirs(directory, exist_ok=True)
    for start in range(0, count, BATCH):
        repository = Repository(splitfd, directory + "/r")
        documents = {}
        for i in range(start, min(start + BATCH, count)):
            tag = "t%d" % i
            documents[tag] = make(rng)
            repository.image(tag, *documents[tag])
        theirs, ours, listed, our_list = judge(cfsctl, splitfd, repository.path)
        for tag, document in documents.items():
            both = {tag in theirs, tag in ours}
            verdicts["both refuse" if both == {True} else "both accept" if both == {False} else "differ"] += 1
            if both == {True} or both == {False} and listed.get(tag) == our_list.get(tag):
                continue
            exception = next((e for e in EXCEPTIONS if tag in ours and re.search(e[1], ours[tag])), None)
            if exception is not None:
                seen[exception[0]] += 1
            else:
                wrong.append((tag, theirs.get(tag), ours.get(tag), listed.get(tag), our_list.get(tag), document))
        if len(wrong) > 20:
            break
    shutil.rmtree(directory + "/r")
    print("%d documents, seed %d: %s" % (sum(verdicts.values()), seed, dict(verdicts)))
    for name, test, reason in EXCEPTIONS:
        print("%6d  %s: %s" % (seen[name], name, reason))
    for tag, their, our, their_row, our_row, document in wrong[:10]:
        print("\n%s\n  cfsctl:  %s\n  splitfd: %s\n  listed:  %s\n           %s\n  manifest %r\n  config   %r" %
              (tag, their, our, their_row, our_row, document[0][:1500], document[1][:1500]))
    sys.exit(1 if wrong else 0)


main()
