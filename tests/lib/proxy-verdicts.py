#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The policy for transports that the real skopeo reads, where that is too old to know one: the verdict must be that of
a skopeo that does. What it takes to check a signature is an error of its own, which names the version.

  proxy-verdicts.py DIRECTORY REGISTRY REFERENCE… -- JUDGE… -- OURS…
DIRECTORY holds what oci:, dir: and so on name. Prints TAP."""
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy  # noqa: E402

directory, registry = sys.argv[1:3]
rest = sys.argv[3:]
references = rest[:rest.index("--")]
rest = rest[len(references) + 1:]
judge, ours = rest[:rest.index("--")], rest[rest.index("--") + 1:]
ANY, NO = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
SIGNED = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nonexistent"}]
SCOPES = [(t, s) for t in ("oci", "dir", "oci-archive", "docker-archive") for s in
                                         ("", directory, directory + "/layout", directory + "/dir", directory + "/oci.tar",
                                          directory + "/lay", "/", os.path.dirname(directory))]
SCOPES += [("docker", s) for s in ("", registry, registry + "/two", registry + "/two:latest", registry + "/two:other",
                                   registry.split(":")[0], "*.0.1", "*.1", registry + "/tw")]
n = bad = 0


def verdicts(program, policy):
    found = {}
    proxy = Proxy(program + ["--policy", policy, "--tls-verify=false"])
    for method in ("OpenImage", "OpenImageOptional"):
        for reference in references:
            found[method, reference] = proxy.call(method, reference)[0]
    proxy.close()
    return found


def agree(a, b):
    if a["success"] or b["success"]:
        return a["success"] == b["success"]
    if "rejected by policy" in a["error"] or "rejected by policy" in b["error"]:
        return "rejected by policy" in a["error"] and "rejected by policy" in b["error"]
    # Old and new say what is not there, and what is wrong with a policy, in words of their own.
    for word in ("manifest unknown", "invalid policy"):
        if word in a["error"]:
            return word in b["error"].replace("is not valid", "invalid policy")
    return "install skopeo" in b["error"] or a["error"] == b["error"]


policies = [{"default": d} for d in (ANY, NO, SIGNED)]
policies += [{"default": d, "transports": {t: {s: r}}} for d in (ANY, NO, SIGNED) for t, s in SCOPES
             for r in (ANY, NO, SIGNED, ANY + SIGNED) if r is not d]
wanted = int(os.environ.get("VERDICTS", "45"))
policies = policies[:3] + random.Random(int(os.environ.get("VERDICTS_SEED", "1"))).sample(policies[3:], wanted)
for policy in policies:
    path = directory + "/verdict.json"
    with open(path, "w") as f:
        json.dump(policy, f)
    theirs, mine = verdicts(judge, path), verdicts(ours, path)
    for key in theirs:
        n += 1
        if agree(theirs[key], mine[key]):
            continue
        bad += 1
        if bad <= 10:
            print("# %s %s\n#   %s\n#   %s" % (json.dumps(policy), key, theirs[key], mine[key]))
print("%s 1 - %d verdicts" % ("not ok" if bad else "ok", n))
print("1..1")
sys.exit(1 if bad else 0)
