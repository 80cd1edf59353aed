# SPDX-License-Identifier: Apache-2.0
"""What a repository holds, and whether a run that was disturbed left it right. Used by campaign and power-cut."""
import hashlib
import os
import re
import subprocess

SIGNALLED = 128
HANG = 124


def environment():
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "ASAN_OPTIONS", "XDG_RUNTIME_DIR")}
    keep["LC_ALL"] = "C"
    return keep


class State:
    """Objects by the hash of their content, names by their targets, and all else."""

    def __init__(self, repo):
        self.objects, self.names, self.other = {}, {}, []
        for top, dirs, files in os.walk(repo):
            room = os.path.relpath(top, repo).split("/")[0]
            for name in files + [d for d in dirs if os.path.islink(os.path.join(top, d))]:
                path = os.path.join(top, name)
                short = os.path.relpath(path, repo)
                if room == "objects" and re.fullmatch(r"objects/[0-9a-f]{2}/[0-9a-f]{62,126}", short):
                    with open(path, "rb") as f:
                        self.objects[short] = hashlib.blake2b(f.read(), digest_size=16).hexdigest()
                elif room in ("streams", "images"):
                    self.names[short] = os.readlink(path) if os.path.islink(path) else "a file"
                else:
                    self.other.append(short)
        self.other.sort()
        # What was proven of a layer is remembered there, in any run that had a reason to prove it.
        self.other = [o for o in self.other if o != "meta.json" and not o.startswith("splitfd-proven/")]

    def key(self):
        text = repr((sorted(self.objects.items()), sorted(self.names.items()), self.other))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Checker:
    """Both programs' fsck of a repository. The same state is checked once."""

    def __init__(self, splitfd, cfsctl):
        self.splitfd, self.cfsctl = splitfd, cfsctl
        self.known = {}

    def fsck(self, repo, state):
        key = state.key()
        if key not in self.known:
            self.known[key] = self.run(repo)
        return self.known[key]

    def run(self, repo):
        """What is wrong, or an empty text."""
        commands = [[self.splitfd, "fsck", "--repo", repo]]
        if self.cfsctl:
            commands += [[self.cfsctl, "--repo", repo, "fsck"], [self.cfsctl, "--repo", repo, "oci", "fsck"]]
        for c in commands:
            p = subprocess.run(c, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=environment(), timeout=60)
            out = p.stdout.decode(errors="replace")
            if p.returncode != 0 or "status: corrupted" in out or ("splitfd" not in c[0] and "status: ok" not in out):
                lines = [x for x in out.splitlines() if ": ok" not in x]
                return "%s %s: exit %d, %d lines: %s" % (os.path.basename(c[0]), c[-1], p.returncode, len(lines),
                                                         " | ".join(lines[:4]))
        return ""


def digests(stdout):
    """What a command prints without its counts: those say how it was done, not what."""
    return [line for line in stdout.splitlines() if not re.match("(objects|layers) ", line)]


def compare(state, reference):
    """A success: the names of the undisturbed run, and each of its objects with its content."""
    if state.names != reference.names:
        extra = sorted(set(state.names.items()) ^ set(reference.names.items()))
        return "names differ: %s" % extra[:3]
    for name, content in reference.objects.items():
        if name not in state.objects:
            return "%s is missing" % name
        if state.objects[name] != content:
            return "%s has other content" % name
    return ""


def visible(state, before, reference):
    """A failure: no name that was not there before, but complete layers, configs and images whose data is durable;
    the tag is the last, and is not among them. Names that were there stay."""
    for name, target in before.names.items():
        if reference.names.get(name) == target and state.names.get(name) != target:
            return "%s is gone" % name
    for name, target in state.names.items():
        if before.names.get(name) == target:
            continue
        if "/refs/" in name:
            return "%s is visible" % name
        if reference.names.get(name) != target:
            return "%s points to %s" % (name, target)
    return ""


# Another text of the same reason.
TEXTS = {"EIO": "Input/output error|not whole",
         "ENOMEM": "memory|failed to map segment|cannot map|start a thread",
         "EAGAIN": "Resource temporarily unavailable|thread",
         "EINTR": "Interrupted system call|[Ii]nterrupted",
         "ENODEV": "No such device|failed to map segment",
         "EPIPE": "Broken pipe|has closed",
         "ECONNRESET": "Connection reset|has closed"}


def true_reason(name, stderr):
    return re.search(TEXTS.get(name) or re.escape(os.strerror(getattr(__import__("errno"), name))), stderr) is not None


def one_sentence(stderr):
    """An error is one line of the program."""
    lines = stderr.splitlines()
    return len(lines) == 1 and re.match(r"splitfd( [a-z-]+)?: .", lines[0]) is not None
