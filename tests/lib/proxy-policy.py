#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verdict of policy.json: many policies, several ways to name one image, two proxies that must agree.

  proxy-policy.py STORE IMAGE-ID DIRECTORY -- PROGRAM… -- PROGRAM…
STORE has root/ and run/ with localhost/two:latest. Prints TAP."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_client import Proxy  # noqa: E402

store, image_id, directory = sys.argv[1:4]
rest = sys.argv[5:]
cut = rest.index("--")
programs = rest[:cut], rest[cut + 1:]
spec, full = f"[overlay@{store}/root]", f"[overlay@{store}/root+{store}/run]"
ANY = [{"type": "insecureAcceptAnything"}]
NO = [{"type": "reject"}]
SIGNED = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nonexistent"}]

first = Proxy(programs[0] + ["--insecure-policy"])
digest = first.value("GetManifest", first.open(f"containers-storage:{full}localhost/two"))
first.close()


def only(scope, requirements=ANY, default=NO):
    return {"default": default, "transports": {"containers-storage": {scope: requirements}}}


CASES = {
    "accept": {"default": ANY}, "reject": {"default": NO}, "signed": {"default": SIGNED},
    "accept and reject": {"default": ANY + NO}, "accept and signed": {"default": ANY + SIGNED},
    "empty list": {"default": []}, "no default": {"transports": {}}, "unknown key": {"default": ANY, "x": 1},
    "unknown kind": {"default": [{"type": "zz"}]},
    "unknown key in a requirement": {"default": [{"type": "insecureAcceptAnything", "a": 1}]},
    "the transport": only(""), "the store": only(spec), "the store without its driver": only(f"[{store}/root]"),
    "another store": only("[overlay@/x]"), "the repository": only(spec + "localhost/two"),
    "the tag": only(spec + "localhost/two:latest"), "the host": only(spec + "localhost"),
    "another tag": only(spec + "localhost/two:x"), "the ID": only(spec + "@" + image_id),
    "name and ID": only(spec + "localhost/two:latest@" + image_id), "no scope of a store": only("localhost/two"),
    "a scope with the runroot": only(full), "the digest": only(spec + "localhost/two@" + digest),
    "part of a component": only(spec + "local"),
    "rejected by the narrowest scope": only(spec + "localhost/two", NO, ANY),
    "another transport": {"default": NO, "transports": {"docker": {"": ANY}}},
    "signed elsewhere": {"default": ANY, "transports": {"docker": {"x.io": SIGNED}}},
    "wrong key type elsewhere": {"default": ANY, "transports": {"docker": {"x.io": [
        {"type": "signedBy", "keyType": "zz"}]}}},
    "two sources of keys elsewhere": {"default": ANY, "transports": {"docker": {"x.io": [
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/a", "keyData": "YQ=="}]}}},
    "no key elsewhere": {"default": ANY, "transports": {"docker": {"x.io": [
        {"type": "signedBy", "keyType": "GPGKeys"}]}}},
    "wrong identity elsewhere": {"default": ANY, "transports": {"docker": {"x.io": [
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/a", "signedIdentity": {"type": "zz"}}]}}},
    "empty list elsewhere": {"default": ANY, "transports": {"docker": {"x.io": []}}},
    "key in another case": {"Default": ANY}, "type in another case": {"default": [{"TYPE": "reject"}]},
    "transports null": {"default": ANY, "transports": None},
    "unknown transport": {"default": ANY, "transports": {"zz": {"": NO}}},
    "repeated key": '{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}',
    "trailing bytes": json.dumps({"default": ANY}) + "x", "no JSON": "{", "empty file": "", "missing file": None,
}
NAMES = ["localhost/two", "localhost/two:latest", image_id, "localhost/two@" + image_id, "localhost/two@" + digest,
         "localhost/two:zz@" + digest, image_id[:12]]


def verdicts(argv, path):
    proxy = Proxy(argv + ["--policy", path])
    answers = [proxy.call("OpenImage", f"containers-storage:{full}{name}")[0] for name in NAMES]
    proxy.close()
    return [a["success"] for a in answers], [a["error"] for a in answers]


failed = 0
for i, (name, policy) in enumerate(CASES.items()):
    path = f"{directory}/policy-{i}.json"
    if policy is not None:
        with open(path, "w") as f:
            f.write(policy if isinstance(policy, str) else json.dumps(policy))
    (a, why_a), (b, why_b) = (verdicts(argv, path) for argv in programs)
    if a != b:
        failed += 1
        for row in zip(NAMES, a, b, why_a, why_b):
            print("#", *row, sep="  ")
    print(f"{'ok' if a == b else 'not ok'} {i + 1} - {name}")
print(f"1..{len(CASES)}")
sys.exit(failed != 0)
