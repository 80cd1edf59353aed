# SPDX-License-Identifier: Apache-2.0
"""File systems that fail: full ones, thin storage that runs out below them, and shutdowns in the middle."""
import fcntl
import os
import shutil
import struct
import subprocess
import sys

from scenarios import run_quiet

SIZES = {"xfs": "300M", "ext4": "32M", "btrfs": "128M"}
# Where the store is on the file system itself, files are cloned.
KINDS = {"xfs": "xfs", "xfs-copy": "xfs", "ext4": "ext4", "btrfs": "btrfs"}
PARTS = ("full", "thin", "shutdown")
GOINGDOWN = 0x8004587D  # _IOR('X', 125, __u32): XFS and ext4
LOG_FLUSH, NO_LOG_FLUSH = 1, 2


def make(kind, image, size=None):
    run_quiet("truncate", "-s", size or SIZES[kind], image)
    if kind == "xfs":
        run_quiet("mkfs.xfs", "-q", "-f", "-m", "reflink=1", image)
    elif kind == "btrfs":
        # Mixed: else what has once been given to data is not there for metadata.
        run_quiet("mkfs.btrfs", "-q", "-f", "--mixed", image)
    else:
        run_quiet("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,nodiscard", image)


def mount(kind, image, directory):
    os.makedirs(directory, exist_ok=True)
    options = "loop,nouuid" if kind == "xfs" else "loop"
    run_quiet("mount", "-t", kind, "-o", options, image, directory)
    loop = os.path.basename(subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", directory]).decode().strip())
    # A loop device reports a write as done of which its file took a part only: one page is taken or not.
    with open("/sys/block/%s/queue/max_sectors_kb" % loop, "w") as f:
        f.write("4")
    if kind == "xfs":
        # Else XFS tries for ever to write its own metadata where there is no room.
        for error in ("ENOSPC", "EIO", "default"):
            with open("/sys/fs/xfs/%s/error/metadata/%s/max_retries" % (loop, error), "w") as f:
                f.write("1")


def unmount(directory):
    run_quiet("umount", directory)


def unmount_below(directory):
    with open("/proc/self/mountinfo") as f:
        mounts = [line.split()[4] for line in f]
    for m in sorted((m for m in mounts if m == directory or m.startswith(directory + "/")), reverse=True):
        subprocess.run(["umount", m], stderr=subprocess.DEVNULL)


def cases(calls):
    """calls: how many system calls a pull makes."""
    for name in KINDS:
        for k in list(range(0, 64, 4)) + list(range(64, 2600, 16)):
            yield "%s/full/%d" % (name, k)
        for k in range(0, 2600, 40):
            yield "%s/thin/%d" % (name, k)
        if KINDS[name] != "btrfs":
            for n in range(1, calls + 1):
                yield "%s/shutdown/%d" % (name, n)


class Place:
    """A file system for one case, a copy of one that is made once for each worker."""

    def __init__(self, w, name, directory=None):
        self.kind = KINDS[name]
        self.directory = directory or w.scratch
        self.mounted = os.path.join(w.scratch, "m")
        self.template = os.path.join(w.scratch, name + ".template")
        self.number = getattr(w.owner, "place_number", 0) + 1
        w.owner.place_number = self.number
        self.image = os.path.join(self.directory, "%s.%d.img" % (name, self.number))
        self.inside = name == "xfs"
        if not os.path.exists(self.template):
            make(self.kind, self.template)
            mount(self.kind, self.template, self.mounted)
            if self.inside:
                run_quiet("cp", "-a", w.owner.dir, self.mounted + "/bed")
            os.mkdir(self.mounted + "/w")
            run_quiet("cp", "-a", w.owner.dir + "/empty", self.mounted + "/w/repo")
            unmount(self.mounted)
        self.bed = self.mounted + "/bed" if self.inside else w.owner.dir

    def __enter__(self):
        run_quiet("cp", "--sparse=always", self.template, self.image)
        mount(self.kind, self.image, self.mounted)
        return self

    def __exit__(self, *_):
        unmount_below(self.mounted)
        os.unlink(self.image)

    def again(self):
        """What only the page cache had is gone."""
        unmount(self.mounted)
        mount(self.kind, self.image, self.mounted)


def fill(directory, kib):
    """Leaves KIB free."""
    path = os.path.join(directory, "filler")
    v = os.statvfs(directory)
    length = v.f_bavail * v.f_frsize - kib * 1024
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        while length > 0:
            try:
                os.posix_fallocate(fd, 0, length)
                return
            except OSError:
                length -= 64 * 1024
    finally:
        os.close(fd)


def empty(directory):
    os.unlink(os.path.join(directory, "filler"))
    # btrfs gives the room back with the next transaction.
    fd = os.open(directory, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    run_quiet("sync", "-f", directory)


class Thin:
    """A tmpfs that has KIB less than what the file system in it believes to have."""

    def __init__(self, w):
        self.directory = os.path.join(w.scratch, "thin")
        os.makedirs(self.directory, exist_ok=True)

    def __enter__(self):
        run_quiet("mount", "-t", "tmpfs", "-o", "size=1G", "thin", self.directory)
        return self

    def __exit__(self, *_):
        unmount_below(self.directory)

    def leave(self, kib):
        v = os.statvfs(self.directory)
        used = (v.f_blocks - v.f_bfree) * v.f_frsize // 1024
        self.resize("%dk" % (used + max(kib, 4)))

    def resize(self, size):
        run_quiet("mount", "-o", "remount,size=" + size, self.directory)


def shutdown(directory, flush):
    fd = os.open(directory, os.O_RDONLY)
    fcntl.ioctl(fd, GOINGDOWN, struct.pack("I", LOG_FLUSH if flush else NO_LOG_FLUSH))
    os.close(fd)


def shutdown_command(directory, flush):
    return "%s -B %s %s %d" % (sys.executable, os.path.realpath(__file__), directory, flush)


if __name__ == "__main__":
    shutdown(sys.argv[1], sys.argv[2] == "1")
