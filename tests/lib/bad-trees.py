#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes images whose second layer has no sound file tree, as OCI layouts, one for each case.

    bad-trees.py DIR

DIR/index.json lists [{case, layer, path, reason, image}]: the diff_id of the layer at fault, the
path (its beginning; null: none) and the reason that an error must name, as regular expressions, and whether the
image is to be stored all the same, without a mountable one ("without") or not at all ("refused").
"""
import importlib.util
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("odd_layers", os.path.join(HERE, "odd-layers.py"))
odd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(odd)
USR, END, reg, hard, dir_, link, pax, text = odd.USR, odd.END, odd.reg, odd.hard, odd.dir_, odd.link, odd.pax, odd.text

BASE = USR + reg(b"usr/below", text(100)) + END
LONG_PATH = b"usr/" + b"/".join([b"d" * 200] * 21)  # 4224 bytes, each name short enough


def xattr(name, size):
    return pax([("SCHILY.xattr." + name, b"v" * size)]) + reg(b"usr/attr", text(70)) + END


CASES = {
    "name-too-long": (pax([("path", b"usr/" + b"n" * 256)]) + reg(b"short", text(70)) + END,
                      "usr/nnn", "name of more than 255", "refused"),
    "path-too-long": (pax([("path", LONG_PATH)]) + reg(b"short", text(70)) + END,
                      "usr/ddd", "path of more than 4095", "refused"),
    "target-too-long": (pax([("linkpath", b"t" * 4096)]) + link(b"usr/sym", b"t") + END,
                        "usr/sym", "target of the symlink has more than 4095", "refused"),
    "xattr-too-large": (xattr("security.capability", 65536), "usr/attr", "an xattr", "refused"),
    "below-a-file": (reg(b"usr/f", text(70)) + reg(b"usr/f/x", text(71)) + END,
                     "usr/f/x", "not a directory", "refused"),
    "below-a-file-of-the-base": (reg(b"usr/below/x", text(71)) + END, "usr/below/x", "not a directory", "refused"),
    "link-to-directory": (hard(b"usr/h", b"usr") + END, "usr/h", "hard link to a directory", "refused"),
    "link-to-itself": (hard(b"usr/self", b"./usr/self") + END, "usr/self", "loop of hard links", "refused"),
    "link-loop": (hard(b"usr/a", b"usr/b") + hard(b"usr/b", b"usr//c") + hard(b"usr/c", b"usr/a") + END,
                  "usr/a", "loop of hard links", "refused"),
    "into-a-link-loop": (hard(b"usr/z", b"usr/b") + hard(b"usr/b", b"usr/c") + hard(b"usr/c", b"usr/b") + END,
                         "usr/z", "loop of hard links", "refused"),
    "no-tar": (text(2000), None, "tar", "refused"),
    "tar-then-no-tar": (reg(b"usr/a", text(70)) + text(1024, b"junk") + END, "usr/a", "tar", "refused"),
    "link-to-nothing": (hard(b"usr/h", b"usr/gone") + END, "usr/h", "usr/gone, which is not there", "without"),
    "links-to-a-chain": (hard(b"usr/a", b"usr/b") + hard(b"usr/b", b"usr/c") + hard(b"usr/c", b"usr/gone") + END,
                         "usr/a", "usr/b, which is not there", "without"),
    "dot-dot": (dir_(b"usr/x/") + reg(b"usr/x/../../y", text(70)) + END, "usr/x/../../y", r'"\.\."', "without"),
    "below-a-symlink": (link(b"usr/s", b"below") + reg(b"usr/s/x", text(70)) + END,
                        "usr/s/x", "symlink", "without"),
    "sparse-damaged": (odd.header(b"usr/sparse", kind=b"S", magic=b"ustar\x0000") + END,
                       "usr/sparse", "sparse", "without"),
    "sparse-pax": (pax([("GNU.sparse.map", b"0,5"), ("GNU.sparse.size", b"70000")]) + reg(b"usr/sparse", text(200))
                   + reg(b"usr/z", text(3000)) + END, "usr/sparse", "sparse", "without"),
    "unknown-type": (odd.header(b"usr/u", kind=b"Z") + END, "usr/u", "unknown type 'Z'", "without"),
}


def main():
    index = []
    for name, (tar, path, reason, image) in CASES.items():
        diff_ids = odd.write_layout(os.path.join(sys.argv[1], name), [BASE, tar])
        index.append({"case": name, "layer": diff_ids[1], "path": path, "reason": reason, "image": image})
    with open(os.path.join(sys.argv[1], "index.json"), "w") as f:
        json.dump(index, f, indent=1)


main()
