# SPDX-License-Identifier: Apache-2.0
"""What every run starts from: a file system with a store, a layout, an empty and a whole repository; and for each
command what an undisturbed run prints, leaves and calls."""
import collections
import copy
import os
import shutil
import subprocess
import types

import outcome
import peer_scenarios
import plan
import scenarios
import storage
from scenarios import run_quiet

HERE = os.path.dirname(os.path.realpath(__file__))
LIB = os.path.join(HERE, "..", "lib")


class Reference:
    def __init__(self, state, before, stdout, repo):
        self.state, self.before, self.stdout = state, before, stdout
        self.digests = outcome.digests(stdout.decode(errors="replace").replace(repo, "@"))


class Worker:
    """One run at a time: a directory with a repository."""

    def __init__(self, bed, number):
        self.owner, self.number = bed, number
        self.tools, self.diff_ids = bed.tools, bed.diff_ids
        self.checker = outcome.Checker(bed.tools.splitfd, bed.tools.cfsctl)
        self.scratch = os.path.join(bed.scratch, "w%d" % number)
        os.makedirs(self.scratch, exist_ok=True)
        self.place(bed.dir, os.path.join(bed.mount, "w%d" % number))

    def place(self, bed_dir, directory):
        self.bed, self.dir = bed_dir, directory
        self.repo = os.path.join(directory, "repo")
        os.makedirs(directory, exist_ok=True)

    def elsewhere(self, bed_dir, directory):
        other = copy.copy(self)
        other.place(bed_dir, directory)
        return other


class Bed:
    def __init__(self, scratch, build, cfsctl, only=None):
        """only: the scenarios that are wanted; then calls are not counted."""
        self.only = only
        self.scratch = scratch
        self.mount = os.path.join(scratch, "x")
        self.dir = os.path.join(self.mount, "bed")
        self.tools = types.SimpleNamespace(splitfd=os.path.join(build, "splitfd"), cfsctl=cfsctl,
                                           inject=os.path.join(build, "tests/fault/inject"))
        if not cfsctl:
            p = subprocess.run([os.path.join(LIB, "peers"), "path", "cfsctl"], stdout=subprocess.PIPE)
            self.tools.cfsctl = p.stdout.decode().strip() if p.returncode == 0 else None

    def __enter__(self):
        storage.make("xfs", self.mount + ".img", "1G")
        storage.mount("xfs", self.mount + ".img", self.mount)
        self.diff_ids = fill(self.dir, self.tools)
        self.scenarios = {s.name: s for s in scenarios.all_scenarios(self.diff_ids) + peer_scenarios.all_scenarios()}
        w = Worker(self, 0)
        self.references, self.counts, self.unplanned = {}, {}, {}
        for name, s in self.scenarios.items():
            if self.only and name not in self.only:
                continue
            self.references[name] = reference(w, s)
            if self.only:
                continue
            self.counts[name] = counts(w, s)
            unknown = plan.unknown_calls(self.counts[name])
            if unknown:
                self.unplanned[name] = unknown
        return self

    def __exit__(self, *_):
        storage.unmount_below(self.scratch)

    def cases(self):
        for name in self.scenarios:
            yield from plan.cases_of_calls(name, self.counts[name])
        yield from storage.cases(sum(self.counts["pull-copy"].values()))


def fill(directory, tools):
    """Makes the store and the repositories; returns the diff_ids."""
    os.makedirs(os.path.join(directory, "store", "root"))
    os.makedirs(os.path.join(directory, "store", "run"))
    tars, layout = os.path.join(directory, "tars"), os.path.join(directory, "layout")
    run_quiet(os.path.join(HERE, "tiny-image.py"), tars)
    p = subprocess.run(["python3", os.path.join(LIB, "make-layout.py"), layout, "tiny", "gzip:%s/0.tar" % tars,
                        "gzip:%s/1.tar" % tars, "plain:%s/2.tar" % tars], check=True, stdout=subprocess.PIPE)
    store = "[overlay@%s/store/root+%s/store/run]" % (directory, directory)
    run_quiet("skopeo", "copy", "-q", "--insecure-policy", "oci:%s:tiny" % layout,
              "containers-storage:%slocalhost/tiny" % store)
    storage.unmount_below(os.path.join(directory, "store"))
    for name in ("empty", "whole"):
        run_quiet(tools.splitfd, "init", "--insecure", "--repo", os.path.join(directory, name))
    run_quiet(tools.splitfd, "pull", "--quiet", "--repo", directory + "/whole", "--root", directory + "/store/root",
              "--runroot", directory + "/store/run", "--storage-driver", "overlay", "localhost/tiny", "tiny")
    return [line.split()[0] for line in p.stdout.decode().splitlines()]


def undisturbed(w, s, inject=None):
    s.reset(w)
    processes = s.run(w, inject)
    for p in processes:
        if p.code != 0:
            raise RuntimeError("%s fails without any fault: exit %d: %s" % (p.name, p.code, p.stderr))
    return processes


def reference(w, s):
    s.reset(w)
    before = outcome.State(w.repo)
    stdout = undisturbed(w, s)[0].stdout
    state = outcome.State(w.repo)
    wrong = s.writes and w.checker.fsck(w.repo, state)
    if wrong:
        raise RuntimeError("%s without any fault: %s" % (s.name, wrong))
    return Reference(state, before, stdout, w.repo)


def counts(w, s):
    """The most of each call in some runs, and a few more: threads share the work differently each time."""
    most = collections.Counter()
    for _ in range(3):
        processes = undisturbed(w, s, ["--count", "--list"])
        report = next(p.report for p in processes if p.injected)
        now = collections.Counter(line.split()[1] for line in report.splitlines() if line[:1].isdigit())
        most = now | most
    return dict(most)
