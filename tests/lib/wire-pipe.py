#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a producer and a consumer of a split stream, connected as a parent would connect them.

wire-pipe.py [--socket=seqpacket|stream] [--attached] [--limit=N] [--rss] PRODUCER… -- CONSUMER…
  default     a pipe from stdout to stdin, and a socket pair whose number replaces @FDS@
  --attached  stdout and stdin are the socket pair themselves
  --limit     RLIMIT_NOFILE of both
  --rss       prints the peak memory of both in KiB to stderr
Exits with 0 if both did; else prints both codes to stderr and exits with the consumer's, or 1.
"""
import os
import resource
import socket
import subprocess
import sys


def main():
    args = sys.argv[1:]
    kind, attached, limit, rss = socket.SOCK_SEQPACKET, False, 0, False
    while args and args[0].startswith("--"):
        o = args.pop(0)
        if o == "--attached":
            attached = True
        elif o == "--socket=stream":
            kind = socket.SOCK_STREAM
        elif o == "--socket=seqpacket":
            kind = socket.SOCK_SEQPACKET
        elif o.startswith("--limit="):
            limit = int(o[8:])
        elif o == "--rss":
            rss = True
        else:
            sys.exit("wire-pipe: what is %s?" % o)
    cut = args.index("--")
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    read, write = os.pipe()
    if attached:
        out, inp, pass_out, pass_in = ours.fileno(), theirs.fileno(), (), ()
    else:
        out, inp, pass_out, pass_in = write, read, (ours.fileno(),), (theirs.fileno(),)

    def limits():
        if limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def fill(words, fd):
        return [w.replace("@FDS@", str(fd)) for w in words]

    producer = subprocess.Popen(fill(args[:cut], ours.fileno()), stdout=out, pass_fds=pass_out,
                                preexec_fn=limits)
    consumer = subprocess.Popen(fill(args[cut + 1:], theirs.fileno()), stdin=inp,
                                pass_fds=pass_in, preexec_fn=limits)
    ours.close()
    theirs.close()
    os.close(read)
    os.close(write)
    codes, peaks = {}, {}
    for _ in range(2):
        pid, status, usage = os.wait3(0)
        codes[pid] = os.waitstatus_to_exitcode(status)
        peaks[pid] = usage.ru_maxrss
    p, c = codes[producer.pid], codes[consumer.pid]
    if rss:
        print("peak KiB: producer %d, consumer %d" % (peaks[producer.pid], peaks[consumer.pid]),
              file=sys.stderr)
    if p or c:
        print("wire-pipe: producer %d, consumer %d" % (p, c), file=sys.stderr)
    sys.exit(c or (1 if p else 0))


main()
