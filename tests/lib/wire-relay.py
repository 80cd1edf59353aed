#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""get-layer | a relay | import-layer, each pair with a channel of its own:
wire-relay.py SPLITFD RELAY REPO DIFFID GET-LAYER-ARGUMENT…"""
import os
import socket
import subprocess
import sys

splitfd, relay, repo, diff_id = sys.argv[1:5]
first, second = socket.socketpair(), socket.socketpair()
a, b = os.pipe(), os.pipe()
get = subprocess.Popen(
    [splitfd, "get-layer", "--format=splitdirfdstream", "--fds=%d" % first[0].fileno()] + sys.argv[5:] + [diff_id],
    stdout=a[1], pass_fds=(first[0].fileno(),))
middle = subprocess.Popen([relay, "relay", str(first[1].fileno()), str(second[0].fileno())], stdin=a[0], stdout=b[1],
                          pass_fds=(first[1].fileno(), second[0].fileno()))
put = subprocess.Popen(
    [splitfd, "import-layer", "--format=splitdirfdstream", "--repo", repo, "--fds=%d" % second[1].fileno(), diff_id],
    stdin=b[0], pass_fds=(second[1].fileno(),))
for end in first + second:
    end.close()
for fd in a + b:
    os.close(fd)
codes = [p.wait() for p in (get, middle, put)]
sys.exit(0 if codes == [0, 0, 0] else "wire-relay: exit codes %r" % codes)
