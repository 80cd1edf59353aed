#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tree-list.py DIR: every entry below DIR, one a line: name, type, mode, owner, and by type device, target, or links,
size, time, content, capability and access list. Times and link counts of directories are the mount's own, and Linux
looks at no mode of a symlink."""
import hashlib
import os
import stat
import sys


def content(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(1 << 20), b""):
            h.update(piece)
    return h.hexdigest()


def xattrs(path):
    names = os.listxattr(path, follow_symlinks=False)
    return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(names)
            if n == "security.capability" or n.startswith("system.posix_acl_")}


def describe(path):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    mode = "-" if kind == stat.S_IFLNK else oct(stat.S_IMODE(st.st_mode))
    what = [oct(kind), mode, st.st_uid, st.st_gid]
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        what.append(f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}")
    if kind == stat.S_IFLNK:
        what.append(os.readlink(path))
    if kind != stat.S_IFDIR:
        what += [st.st_nlink, st.st_mtime_ns]
    if kind == stat.S_IFREG:
        what += [st.st_size, content(path)]
    return what + [xattrs(path)]


def main():
    top = os.fsencode(sys.argv[1])
    rows = []
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            rows.append((os.path.relpath(path, top), describe(path)))
    for name, what in sorted(rows):
        print(repr(name), *map(repr, what))


main()
