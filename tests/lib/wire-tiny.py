#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A producer of very many very small chunks: wire-tiny.py N CONSUMER…

Sends a layer of one file of N bytes, each byte in a chunk of its own, to CONSUMER's standard input
(@DIFFID@ is the layer's), and looks at the consumer's memory after 1 %, 50 % and all of it. Prints
that, the time and the rate; fails where the consumer does, or its memory grew by more than 4 MiB.
"""
import fcntl
import hashlib
import os
import struct
import subprocess
import sys
import tarfile
import time

F_SETPIPE_SZ = 1031
LIMIT_KIB = 4096


def inline(data):
    return struct.pack("<q", -len(data)) + data


def layer(n):
    head = tarfile.TarInfo("usr/f")
    head.size = n
    head = head.tobuf(tarfile.GNU_FORMAT)
    tail = bytes(-n % 512 + 1024)
    h = hashlib.sha256(head)
    piece = b"x" * (1 << 20)
    for at in range(0, n, len(piece)):
        h.update(piece[:min(len(piece), n - at)])
    h.update(tail)
    return head, tail, "sha256:" + h.hexdigest()


def rss(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def main():
    n = int(sys.argv[1])
    head, tail, diff_id = layer(n)
    child = subprocess.Popen([w.replace("@DIFFID@", diff_id) for w in sys.argv[2:]],
                             stdin=subprocess.PIPE, bufsize=0)
    fcntl.fcntl(child.stdin, F_SETPIPE_SZ, 1 << 20)
    one = inline(b"x")
    per_block = (1 << 20) // len(one)
    block = memoryview(one * per_block)
    start, done, seen = time.monotonic(), 0, []

    def send(data):
        while data:
            data = data[child.stdin.write(data):]

    try:
        send(memoryview(inline(head)))
        for mark in (n // 100, n // 2, n):
            while done < mark:
                k = min(per_block, mark - done)
                send(block[:k * len(one)])
                done += k
            seen.append(rss(child.pid))
        send(memoryview(inline(tail)))
        child.stdin.close()
    except BrokenPipeError:
        pass
    code = child.wait()
    seconds = time.monotonic() - start
    print("%d chunks in %.1f s, %.0f million/s; resident KiB at 1 %%, 50 %%, 100 %%: %s" %
          (done, seconds, done / seconds / 1e6, ", ".join(map(str, seen))))
    # A sanitizer keeps what was freed, and the fewer chunks are through before the program has begun.
    grown = 0 if os.environ.get("SANITIZED") else max(seen) - seen[0]
    sys.exit(code or len(seen) != 3 or grown > LIMIT_KIB)


main()
