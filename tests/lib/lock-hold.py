#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a file's lock exclusively until killed: lock-hold.py flock|posix PATH. Prints a line first.

posix is what podman, buildah and skopeo take on the locks of a store."""
import fcntl
import os
import signal
import sys

kind, path = sys.argv[1:]
fd = os.open(path, os.O_RDONLY if kind == "flock" else os.O_RDWR)
(fcntl.flock if kind == "flock" else fcntl.lockf)(fd, fcntl.LOCK_EX)
print("locked", flush=True)
signal.pause()
