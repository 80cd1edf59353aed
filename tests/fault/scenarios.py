# SPDX-License-Identifier: Apache-2.0
"""The commands that the campaign disturbs: how each is prepared, run, and what it leaves."""
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import outcome

LIMIT = 20  # seconds: longer is a hang


def run_quiet(*argv, **more):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)


def prepare():
    """No core files. What the campaign or its caller (nohup) ignores, the program does not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Process:
    """One program of a run. What it prints goes into files, so that nobody has to read for it to go on."""

    def __init__(self, work, name, argv, inject=None, stdin=None, stdout=None, fds=()):
        """stdin: a file's name or a descriptor; stdout: a descriptor, else a file to be looked at."""
        self.name, self.path = name, os.path.join(work.scratch, name)
        self.report_path = self.path + ".report"
        self.injected, self.argv, self.early = inject is not None, argv, False
        if inject:
            argv = [work.tools.inject, "--report", self.report_path] + inject + ["--"] + argv
        files = [open(self.path + ".out", "wb"), open(self.path + ".err", "wb"),
                 open(stdin if isinstance(stdin, str) else os.devnull, "rb")]
        self.child = subprocess.Popen(
            argv, stdin=stdin if isinstance(stdin, int) else files[2], stdout=files[0] if stdout is None else stdout,
            stderr=files[1], pass_fds=fds, env=outcome.environment(), start_new_session=True,
            preexec_fn=prepare)
        for f in files:
            f.close()

    def was_signalled(self):
        """A signal of the case has come to it."""
        if not (self.injected and any(a.startswith("signal:") for a in self.child.args)):
            return False
        with open(self.report_path, "rb") as f:
            return b"injecting" in f.read()

    def wait(self, limit=LIMIT):
        try:
            code = self.child.wait(limit)
            self.code = code if code >= 0 else outcome.SIGNALLED - code
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            self.code = outcome.HANG
        # What outlives the program (a skopeo that nobody ends) would disturb the next run.
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        with open(self.path + ".out", "rb") as f:
            self.stdout = f.read()
        with open(self.path + ".err", "rb") as f:
            self.stderr = f.read().decode(errors="replace")
        if self.injected:
            with open(self.report_path, "rb") as f:
                self.report = f.read().decode(errors="replace")
        return self


class Scenario:
    """A command of one process. writes: its repository is judged, else what it prints."""
    writes = True
    template = "empty"

    def __init__(self, name, arguments, stdin=None, template="empty", writes=True):
        self.name, self.arguments, self.input = name, arguments, stdin
        self.template, self.writes = template, writes

    def argv(self, w):
        return [w.tools.splitfd] + [a.replace("@W", w.dir).replace("@B", w.bed) for a in self.arguments.split()]

    def reset(self, w):
        shutil.rmtree(w.repo, ignore_errors=True)
        if self.template:
            run_quiet("cp", "-a", "--reflink=auto", os.path.join(w.bed, self.template), w.repo)

    def run(self, w, inject=None):
        """The processes of one run; the first is the one that is judged by its exit code."""
        stdin = self.input and os.path.join(w.bed, self.input)
        return [Process(w, self.name, self.argv(w), inject, stdin).wait()]


def listens(path):
    """A Unix socket by its flag in /proc: its name is there a moment before."""
    with open("/proc/net/unix") as f:
        return any(line.split()[3] == "00010000" and line.rstrip().endswith(" " + path) for line in f if "/" in line)


def start_service(w, argv, inject):
    """A service on w's socket that listens, or one that has ended early."""
    path = os.path.join(w.dir, "socket")
    if os.path.exists(path):
        os.unlink(path)
    service = Process(w, "serve", argv, inject)
    for _ in range(LIMIT * 200):
        if listens(path) or service.child.poll() is not None:
            break
        time.sleep(0.005)
    if service.child.poll() is not None:
        service.wait()
        service.early = True
    return service


class Service(Scenario):
    """splitfd push into splitfd serve; which of both is disturbed."""

    def __init__(self, name, disturbed):
        super().__init__(name, "push --quiet --root @B/store/root --runroot @B/store/run --storage-driver overlay "
                         "--to @W/socket --repo @W/repo localhost/tiny tiny")
        self.disturbed = disturbed

    def run(self, w, inject=None):
        argv = Scenario("", "serve --repo @W/repo --socket @W/socket").argv(w)
        service = start_service(w, argv, inject if self.disturbed == "service" else None)
        if service.early:
            return [service]
        push = Process(w, "push", self.argv(w), inject if self.disturbed == "client" else None).wait()
        end_service(service)
        return [push, service.wait()]


class Stream(Scenario):
    """splitfd get-layer into splitfd import-layer, descriptors over a socket; which of both is disturbed."""

    def __init__(self, name, disturbed, form):
        super().__init__(name, "")
        self.disturbed, self.form = disturbed, form

    def run(self, w, inject=None):
        diff_id = w.diff_ids[0]
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read_end, write_end = os.pipe()
        get = [w.tools.splitfd, "get-layer", "--format", self.form, "--fds", str(ends[0].fileno()), "--root",
               w.bed + "/store/root", "--runroot", w.bed + "/store/run", "--storage-driver", "overlay",
               "localhost/tiny", diff_id]
        put = [w.tools.splitfd, "import-layer", "--format", self.form, "--fds", str(ends[1].fileno()), "--repo", w.repo,
               diff_id]
        producer = Process(w, "get-layer", get, inject if self.disturbed == "producer" else None,
                               stdout=write_end, fds=(ends[0].fileno(),))
        consumer = Process(w, "import-layer", put, inject if self.disturbed == "consumer" else None,
                               stdin=read_end, fds=(ends[1].fileno(),))
        for end in ends:
            end.close()
        os.close(read_end)
        os.close(write_end)
        return [consumer.wait(), producer.wait()]


def end_service(service):
    """Asks it to end, unless a signal of the case has done so: a second one ends it at once. inject holds the
    service's PID as its child."""
    if service.was_signalled():
        try:
            service.child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            pass
        return
    target = first_child(service.child.pid) if service.injected else service.child.pid
    if target:
        try:
            os.kill(target, signal.SIGTERM)
        except ProcessLookupError:
            pass


def first_child(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
    except OSError:
        return None
    return int(children[0]) if children else None


STORE = "--root @B/store/root --runroot @B/store/run --storage-driver overlay "
PULL = "pull --quiet --repo @W/repo " + STORE


def all_scenarios(diff_ids):
    first = diff_ids[0]
    return [
        Scenario("init", "init --insecure --repo @W/repo", template=None),
        Scenario("pull-reflink", PULL + "localhost/tiny tiny"),
        Scenario("pull-copy", PULL + "--reflink=never localhost/tiny tiny"),
        Scenario("pull-again", PULL + "localhost/tiny tiny", template="whole"),
        Scenario("pull-oci", "pull --quiet --repo @W/repo --insecure-policy oci:@B/layout:tiny tiny"),
        Scenario("import-tar", "import-layer --format=tar --repo @W/repo " + first, stdin="tars/0.tar"),
        Scenario("get-tar", "get-layer --format=tar " + STORE + "localhost/tiny " + first, writes=False),
        Scenario("get-repo", "get-layer --format=tar --repo @B/whole composefs:tiny " + first, writes=False),
        Stream("stream-get", "producer", "splitfdstream"),
        Stream("stream-import", "consumer", "splitfdstream"),
        Stream("dirstream-get", "producer", "splitdirfdstream"),
        Stream("dirstream-import", "consumer", "splitdirfdstream"),
        Service("push", "client"),
        Service("serve", "service"),
        Scenario("images", "images --repo @B/whole", writes=False),
        Scenario("inspect", "inspect --repo @B/whole tiny", writes=False),
        Scenario("layers", "layers --repo @B/whole tiny", writes=False),
        Scenario("dump", "dump --repo @B/whole tiny", writes=False),
        Scenario("compute-id", "compute-id --repo @B/whole tiny", writes=False),
        Scenario("fsck", "fsck --repo @B/whole", writes=False),
    ]
