# SPDX-License-Identifier: Apache-2.0
"""Which faults each system call can really have, and the list of cases: SCENARIO/PART/..., each a text that
`campaign --only` takes."""

SPACE = ["ENOSPC", "EDQUOT"]
NAMES = ["EIO", "ENOMEM", "EACCES", "EROFS"] + SPACE
TABLE = ["EMFILE", "ENFILE", "ENOMEM"]
CLONE = ["EIO", "EINTR", "ENOMEM", "EPERM", "EXDEV", "EOPNOTSUPP"] + SPACE
ERRNOS = {
    "openat": ["EIO", "EACCES", "EINTR"] + TABLE + SPACE,
    "openat2": ["EIO", "EACCES", "EINTR", "EAGAIN"] + TABLE + SPACE,
    "newfstatat": ["EIO", "ENOMEM", "EACCES"],
    "fstat": ["EIO", "ENOMEM"],
    "statx": ["EIO", "ENOMEM", "EACCES"],
    "fstatfs": ["EIO", "ENOMEM"],
    "access": ["ENOMEM", "EACCES"],
    "faccessat": ["EIO", "ENOMEM", "EACCES"],
    "faccessat2": ["EIO", "ENOMEM", "EACCES"],
    "readlink": ["EIO", "ENOMEM", "EACCES"],
    "readlinkat": ["EIO", "ENOMEM", "EACCES"],
    "getdents64": ["EIO", "ENOMEM"],
    "getcwd": ["ENOMEM", "EACCES"],
    "read": ["EIO", "EINTR", "ENOMEM"],
    "pread64": ["EIO", "EINTR", "ENOMEM"],
    "readv": ["EIO", "EINTR"],
    "preadv": ["EIO", "EINTR"],
    "write": ["EIO", "EINTR"] + SPACE,
    "pwrite64": ["EIO", "EINTR"] + SPACE,
    "writev": ["EIO", "EINTR"] + SPACE,
    "pwritev": ["EIO", "EINTR"] + SPACE,
    "lseek": ["EIO"],
    "mkdirat": NAMES,
    "mkdir": NAMES,
    "linkat": NAMES,
    "symlinkat": NAMES,
    "symlink": NAMES,
    "renameat": NAMES,
    "renameat2": NAMES,
    "rename": NAMES,
    "unlinkat": ["EIO", "EACCES", "EROFS", "ENOMEM"],
    "unlink": ["EIO", "EACCES", "EROFS"],
    "ioctl": CLONE,
    "copy_file_range": CLONE,
    "sendfile": ["EIO", "EINTR", "EINVAL"] + SPACE,
    "splice": ["EIO", "EINTR", "EINVAL"],
    "tee": ["EIO", "EINTR"],
    "vmsplice": ["ENOMEM"],
    "fallocate": ["EIO", "EINTR", "EOPNOTSUPP"] + SPACE,
    "ftruncate": ["EIO", "EINTR"] + SPACE,
    "fchmod": ["EIO", "EPERM", "EROFS"] + SPACE,
    "fchmodat": ["EIO", "EPERM", "EROFS"],
    "fchown": ["EIO", "EPERM", "EROFS"],
    "utimensat": ["EIO", "EPERM", "EROFS"],
    "fsetxattr": ["EIO", "EOPNOTSUPP"] + SPACE,
    "setxattr": ["EIO", "EOPNOTSUPP"] + SPACE,
    "fgetxattr": ["EIO", "EOPNOTSUPP", "ENOMEM"],
    "getxattr": ["EIO", "EOPNOTSUPP", "ENOMEM"],
    "fsync": ["EIO"] + SPACE,
    "fdatasync": ["EIO"] + SPACE,
    "syncfs": ["EIO"] + SPACE,
    "sync_file_range": ["EIO", "ENOMEM"] + SPACE,
    "fadvise64": ["EINVAL"],
    "flock": ["EINTR", "ENOLCK", "EIO"],
    "fcntl:0x406": ["EMFILE"],  # F_DUPFD_CLOEXEC
    "fcntl:0x400": ["EAGAIN", "ENOMEM", "EACCES", "EINVAL"],  # F_SETLEASE
    "fcntl:0x409": ["EPERM", "EBUSY"],  # F_ADD_SEALS
    "fcntl:0x407": ["EPERM", "EBUSY", "ENOMEM"],  # F_SETPIPE_SZ
    "fcntl:0x25": ["EAGAIN", "ENOLCK", "EINTR"],  # F_OFD_SETLK
    "mmap": ["ENOMEM", "ENODEV"],
    "mremap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
    "madvise": ["EINVAL"],
    "brk": ["ENOMEM"],
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "vfork": ["EAGAIN", "ENOMEM"],
    "execve": ["EIO", "EACCES", "ENOMEM"],
    "wait4": ["EINTR"],
    "waitid": ["EINTR"],
    "pidfd_open": ["EMFILE", "ENOMEM", "ENOSYS"],
    "pipe2": TABLE,
    "socketpair": TABLE,
    "socket": TABLE + ["EACCES"],
    "connect": ["EINTR", "EACCES", "ENOMEM"],
    "bind": ["EACCES", "ENOMEM", "EIO"],
    "listen": ["EOPNOTSUPP"],
    "accept4": ["EINTR", "EMFILE", "ECONNABORTED", "ENOMEM"],
    "setsockopt": ["ENOMEM"],
    "recvmsg": ["EINTR", "ENOMEM", "ECONNRESET"],
    "recvfrom": ["EINTR", "ENOMEM", "ECONNRESET"],
    "sendmsg": ["EINTR", "ENOMEM", "EPIPE", "ENOBUFS"],
    "sendto": ["EINTR", "ENOMEM", "EPIPE"],
    "poll": ["EINTR", "ENOMEM"],
    "ppoll": ["EINTR", "ENOMEM"],
    "epoll_wait": ["EINTR"],
    "eventfd2": TABLE,
    "signalfd4": TABLE,
    "timerfd_create": TABLE,
    "memfd_create": TABLE,
    "getrandom": ["EINTR", "EAGAIN", "ENOSYS"],
    "sched_getaffinity": ["EPERM"],
    "prlimit64": ["EPERM"],
    "prctl": ["EPERM", "EINVAL"],
    "seccomp": ["EINVAL", "ENOMEM", "EACCES"],
    "landlock_create_ruleset": ["ENOSYS", "EOPNOTSUPP", "EMFILE", "ENOMEM"],
    "landlock_add_rule": ["ENOMEM"],
    "landlock_restrict_self": ["EPERM", "E2BIG", "ENOMEM"],
}
# close frees the descriptor whatever it returns.
AFTER = {"close": ["EIO", "EINTR", "ENOSPC"], "fsync": ["EIO"], "renameat2": ["EIO"], "linkat": ["EIO"]}
SHORT = ["read", "pread64", "readv", "preadv", "write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile",
         "splice", "recvfrom", "sendto", "getrandom"]
LENGTHS = [1, 100]
SIGNALS = ["TERM", "INT", "HUP"]
# A success although one of these failed is no success: the data may not be on the disk.
SYNCS = ["fsync", "fdatasync", "syncfs"]


# A call with a command: its own line, or its name's.
def errnos(call):
    return ERRNOS.get(call, ERRNOS.get(call.split(":")[0], []))


def cases_of_calls(scenario, counts):
    """counts: how often an undisturbed run makes each call, with a margin where threads share the work."""
    for call in sorted(counts):
        for n in range(1, counts[call] + 1):
            for name in errnos(call):
                yield "%s/errno/%s/%d/%s" % (scenario, call, n, name)
            for name in AFTER.get(call, []):
                yield "%s/after/%s/%d/%s" % (scenario, call, n, name)
            if call in SHORT:
                for length in LENGTHS:
                    yield "%s/short/%s/%d/%d" % (scenario, call, n, length)
    total = sum(counts.values())
    for n in range(1, total + 1):
        yield "%s/kill/%d" % (scenario, n)
    for n in range(1, total + 1):
        yield "%s/signal/%s/%d" % (scenario, SIGNALS[n % len(SIGNALS)], n)


def unknown_calls(counts):
    """Calls that no part but kill and signal disturbs."""
    return sorted(c for c in counts if not errnos(c) and c not in AFTER)


def inject_arguments(case):
    """The arguments of inject for a case, and the errno that the reason must name (None: no certain one)."""
    part = case.split("/")[1]
    if part in ("errno", "after"):
        _, _, call, n, name = case.split("/")
        action = "errno" if part == "errno" else "errno-after"
        return ["--calls", call, "--at", n, "--action", "%s:%s" % (action, name)], name
    if part == "short":
        _, _, call, n, length = case.split("/")
        return ["--calls", call, "--at", n, "--action", "short:" + length], None
    if part == "kill":
        return ["--at", case.split("/")[2], "--action", "kill"], None
    if part == "signal":
        _, _, name, n = case.split("/")
        return ["--at", n, "--action", "signal:" + name], None
    raise ValueError(case)
