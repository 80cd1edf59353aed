# SPDX-License-Identifier: Apache-2.0
"""Runs one case of the campaign and judges it."""
import os
import re
import signal
import subprocess
import time

import outcome
import plan
import storage

SIGNAL_LIMIT = 10
SERVICES = ("serve", "proxy")


class Verdict:
    def __init__(self, case, kind, wrongs):
        self.case, self.kind, self.wrongs = case, kind, wrongs


def ends(processes, case):
    """No hang, no signal but the one that was sent."""
    part = case.split("/")[1]
    for p in processes:
        if p.code == outcome.HANG:
            yield "%s hangs" % p.name
        elif p.code == 125 and "inject:" in p.stderr:
            raise RuntimeError("%s: %s" % (p.name, p.stderr))
        elif p.code > outcome.SIGNALLED:
            sent = {"kill": "KILL", "signal": case.split("/")[2]}.get(part)
            if not (p.injected and sent and p.code == outcome.SIGNALLED + getattr(signal, "SIG" + sent)):
                yield "%s is ended by signal %d" % (p.name, p.code - outcome.SIGNALLED)


def reason(processes, case, name):
    """An error is one sentence with the fault's reason."""
    part = case.split("/")[1]
    # Who reads from a program that fails knows only that its stream ends. A service goes on, and its client knows;
    # where the service ends, the client knows only that.
    p = next((p for p in processes if p.injected and p.code != 0), processes[0])
    if part == "kill" or p.code > outcome.SIGNALLED or p.code == outcome.HANG:
        return
    if part == "signal" and not p.injected and any(x.name in SERVICES for x in processes):
        return
    # A service also says what its clients do.
    if not outcome.one_sentence(p.stderr.splitlines()[-1] if p.name == "serve" and p.stderr else p.stderr):
        yield "not one sentence: %r" % p.stderr[:400]
    # fsck goes on behind what it cannot read, and prints it.
    text = " ".join([p.stderr] + [x.stderr for x in processes if x.name in SERVICES]) + (p.stdout.decode(errors="replace") if p.name == "fsck" else "")
    if part == "short":
        yield "a short read or write is no error: %s" % p.stderr.strip()
    elif part == "signal":
        if not re.search("[Ii]nterrupt|signal", text):
            yield "not the reason of a signal: %s" % text.strip()
    elif p.code != 1:
        yield "exit code %d: %s" % (p.code, text.strip())
    elif name and not outcome.true_reason(name, text):
        yield "not the reason of %s: %s" % (name, text.strip())


def success(w, scenario, ref, head):
    if not scenario.writes:
        if head.stdout != ref.stdout:
            yield "the output differs from that of an undisturbed run"
        return
    state = outcome.State(w.repo)
    wrong = outcome.compare(state, ref.state)
    if wrong:
        yield wrong
    if outcome.digests(head.stdout.decode(errors="replace").replace(w.repo, "@")) != ref.digests:
        yield "prints %r" % head.stdout
    wrong = w.checker.fsck(w.repo, state)
    if wrong:
        yield "fsck: " + wrong


def failure(w, scenario, ref, head, case):
    """Nothing new can be seen. What comes after the last name may fail, too: then all is whole."""
    if not scenario.writes:
        return
    state = outcome.State(w.repo)
    # A file system that failed keeps what it wrote before, whatever is taken back then.
    late = case.split("/")[1] in ("kill", "signal", "shutdown", "thin") or "standard output" in head.stderr
    late = late or head.name == "push"  # the service's last answer may be what is lost
    if not (late and not outcome.compare(state, ref.state)):
        wrong = outcome.visible(state, ref.before, ref.state)
        if wrong:
            yield "after exit %d %s" % (head.code, wrong)
    if "meta.json" in os.listdir(w.repo) if os.path.isdir(w.repo) else False:
        wrong = w.checker.fsck(w.repo, state)
        if wrong:
            yield "after exit %d fsck: %s" % (head.code, wrong)


def again(w, scenario, ref):
    """The next run gives what an undisturbed one gives, and clears what the disturbed one left."""
    processes = scenario.run(w)
    for p in processes:
        if p.code != 0:
            yield "the next run: %s: exit %d: %s" % (p.name, p.code, p.stderr.strip())
            return
    for wrong in success(w, scenario, ref, processes[0]):
        yield "the next run: " + wrong
    left = [o for o in outcome.State(w.repo).other if o not in ref.state.other]
    if scenario.writes and left:
        yield "the next run leaves %d files, such as %s" % (len(left), left[0])


def verdict(case, processes, wrongs, reached):
    kind = "wrong" if wrongs else "missed" if not reached else "whole" if processes[0].code == 0 else "failed"
    return Verdict(case, kind, wrongs + (describe(processes) if wrongs else []))


def describe(processes):
    for p in processes:
        if p.injected:
            return [line for line in p.report.splitlines() if line.startswith("injecting")]
    return []


def run_call(w, case, loud):
    name, part = case.split("/")[:2]
    scenario, ref = w.owner.scenarios[name], w.owner.references[name]
    arguments, errno_name = plan.inject_arguments(case)
    scenario.reset(w)
    start = time.monotonic()
    processes = scenario.run(w, arguments)
    seconds = time.monotonic() - start
    if loud:
        show(processes)
    reached = any(p.injected and "injecting" in p.report and "not injected" not in p.report for p in processes)
    head = processes[0]
    wrongs = list(ends(processes, case))
    if part == "signal" and seconds > SIGNAL_LIMIT:
        wrongs.append("ends %.0f s after the signal" % seconds)
    if head.code == 0 and head.early:
        # A service that was asked to end before it had begun.
        wrongs += ["ends by itself"] if part != "signal" else failure(w, scenario, ref, head, case)
    elif head.code == 0:
        wrongs += success(w, scenario, ref, head)
        if reached and part in ("errno", "after") and case.split("/")[2] in plan.SYNCS:
            wrongs.append("exit 0, but what failed is the sync")
    else:
        wrongs += reason(processes, case, errno_name)
        wrongs += failure(w, scenario, ref, head, case)
    if scenario.writes:
        wrongs += again(w, scenario, ref)
    return verdict(case, processes, wrongs, reached)


def run_storage(w, case, loud):
    name, part, number = case.split("/")
    # Clones where the store is on the same file system, else copies.
    scenario, ref = w.owner.scenarios["pull-reflink"], w.owner.references["pull-reflink"]
    if part == "thin":
        with storage.Thin(w) as thin, storage.Place(w, name, thin.directory) as place:
            thin.leave(int(number))
            return storage_case(w.elsewhere(place.bed, place.mounted + "/w"), case, scenario, ref, place, loud,
                                lambda: thin.resize("1G"))
    with storage.Place(w, name) as place:
        mend = None
        if part == "full":
            storage.fill(place.mounted, int(number))
            mend = lambda: storage.empty(place.mounted)  # noqa: E731
        return storage_case(w.elsewhere(place.bed, place.mounted + "/w"), case, scenario, ref, place, loud, mend)


def storage_case(w, case, scenario, ref, place, loud, mend):
    _, part, number = case.split("/")
    inject = None
    if part == "shutdown":
        command = storage.shutdown_command(place.mounted, int(number) % 2)
        inject = ["--at", number, "--action", "command:" + command]
    processes = scenario.run(w, inject)
    if loud:
        show(processes)
    head = processes[0]
    wrongs = list(ends(processes, case))
    if head.code != 0:
        if part == "full":
            wrongs += reason(processes, case, "ENOSPC")
        elif not outcome.one_sentence(head.stderr):
            wrongs.append("not one sentence: %r" % head.stderr[:400])
    if part == "full" and head.code == 0:
        wrongs += success(w, scenario, ref, head)
    elif part == "full":
        wrongs += failure(w, scenario, ref, head, case)
    if mend:
        mend()
    if part != "full":
        try:
            place.again()
        except subprocess.CalledProcessError:
            # btrfs does not survive it when its own trees are lost. After a success they may not be.
            wrongs += ["exit 0, and the file system cannot be mounted"] if head.code == 0 else []
            return verdict(case, processes, wrongs, False)
        wrongs += success(w, scenario, ref, head) if head.code == 0 else failure(w, scenario, ref, head, case)
    wrongs += again(w, scenario, ref)
    place.again()
    for wrong in success(w, scenario, ref, head) if head.code == 0 else [x for x in [
            outcome.compare(outcome.State(w.repo), ref.state)] if x]:
        wrongs.append("from the disk: " + wrong)
    return verdict(case, processes, wrongs, inject is None or "injecting" in processes[0].report)


def show(processes):
    for p in processes:
        print("$ %s -> %d\n%s%s%s" % (" ".join(p.argv), p.code, p.stdout.decode(errors="replace")[:2000], p.stderr,
                                      p.report if p.injected else ""))


def run_case(w, case, loud=False):
    return (run_storage if case.split("/")[1] in storage.PARTS else run_call)(w, case, loud)
