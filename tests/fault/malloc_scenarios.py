# SPDX-License-Identifier: Apache-2.0
"""The commands whose allocations fail: those of the campaign, and what these leave out."""
import os
import subprocess

import peer_scenarios
import scenarios
from scenarios import PULL, Process, Scenario

COMPRESSIONS = ["gzip", "zstd", "xz", "bzip2"]

# malloc-inject becomes the program itself.
scenarios.first_child = lambda pid: pid


class Mount(Scenario):
    def __init__(self, name):
        super().__init__(name, "mount --repo @B/whole tiny @W/mounted", writes=False)

    def run(self, w, inject=None):
        where = os.path.join(w.dir, "mounted")
        os.makedirs(where, exist_ok=True)
        p = Process(w, "mount", self.argv(w), inject).wait()
        left = os.path.ismount(where)
        if left:
            subprocess.run(["umount", where], check=True)
        if left != (p.code == 0):
            p.stdout += b"mounted" if left else b"not mounted"
        return [p]


def all_scenarios(diff_ids):
    first = diff_ids[0]
    whole = "--repo @B/whole "
    read = {"images-json": "images --json " + whole, "layers-all": "layers --json " + whole,
            "layers-json": "layers --json " + whole + "tiny", "fsck-json": "fsck --json " + whole,
            "stream-dump": "stream dump --json " + whole + "oci-layer-" + first,
            "stream-cat": "stream cat " + whole + "oci-layer-" + first,
            "stream-check": "stream check --json " + whole + "oci-layer-" + first,
            "inspect-config": "inspect --config " + whole + "tiny"}
    return scenarios.all_scenarios(diff_ids) + peer_scenarios.all_scenarios() + [Scenario(k, v, writes=False) for k, v in read.items()] + [
        Scenario("pull-json", PULL + "--json localhost/tiny tiny"),
        *[Scenario("tar-" + k, "get-layer --format=tar tar:- " + first, stdin="tars/0.tar." + k, writes=False)
          for k in COMPRESSIONS],
        Scenario("import-json", "import-layer --json --format=tar --repo @W/repo " + first, stdin="tars/0.tar"),
        Mount("mount"),
    ]
