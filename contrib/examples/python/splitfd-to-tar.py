#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs splitfd and turns a layer's split stream into a tar on standard output.

    splitfd-to-tar.py [--splitfd PATH] GET-LAYER-ARGUMENT… > layer.tar

Nothing but the standard library. The parent makes a pipe for the stream and a socket pair for the
descriptors; the rules of the format are those of splitfd-get-layer(1).
"""
import socket
import subprocess
import sys

from splitfd_stream import convert


def main():
    args, splitfd = sys.argv[1:], "splitfd"
    if args[:1] == ["--splitfd"]:
        splitfd, args = args[1], args[2:]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = subprocess.Popen([splitfd, "get-layer", "--fds=%d" % theirs.fileno()] + args,
                             stdout=subprocess.PIPE, pass_fds=(theirs.fileno(),))
    theirs.close()
    convert(child.stdout, ours, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    # A stream that ends is complete only if its producer says so.
    sys.exit(child.wait())


main()
