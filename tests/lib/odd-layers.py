#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes odd but legal container layers as OCI layouts, one for each case.

    odd-layers.py DIR [CASE...]

DIR/CASE is an OCI layout with one image (no tag: `skopeo copy oci:DIR/CASE ...`), its layers plain
tars. DIR/index.json lists [{case, diff_ids, expect, expect_vfs, reason, layer}]: `expect` is "exact" (the layer's tar
can be had byte for byte from a store that took the image) or "refused" (it cannot; `layer` is the
index of the first such layer, and the error text has `reason` in it, a regular expression). `expect_vfs` is the same for vfs stores, which keep no marker files.
Every image here is one that container-libs accept.
"""
import hashlib
import json
import os
import sys

BLOCK = 512
END = bytes(2 * BLOCK)


def number(value, width):
    """Octal, or base-256 where octal has no room or the value is negative."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return base256(value, width)


def base256(value, width):
    raw = value.to_bytes(width, "big", signed=True)
    return bytes([raw[0] | 0x80]) + raw[1:]


def header(name, size=0, kind=b"0", mode=0o644, uid=0, gid=0, mtime=1600000000, link=b"", prefix=b"",
           magic=b"ustar\x0000", dev=None, raw=None):
    """One header block; `raw` {offset: bytes} is laid over it before the checksum."""
    assert len(name) <= 100 and len(link) <= 100 and len(prefix) <= 155, name
    h = bytearray(BLOCK)

    def put(at, data):
        h[at:at + len(data)] = data

    put(0, name)
    put(100, number(mode, 8))
    put(108, number(uid, 8))
    put(116, number(gid, 8))
    put(124, number(size, 12))
    put(136, number(mtime, 12))
    put(156, kind)
    put(157, link)
    if magic:
        put(257, magic)
        if dev:
            put(329, number(dev[0], 8))
            put(337, number(dev[1], 8))
        put(345, prefix)
    for at, data in (raw or {}).items():
        put(at, data)
    put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(h))
    return bytes(h)


def pad(data, fill=b"\0"):
    return data + fill * (-len(data) % BLOCK)


def record(key, value):
    """One pax record, its length counted in itself."""
    body = b" " + key.encode() + b"=" + value + b"\n"
    n = len(body)
    while n != len(str(n)) + len(body):
        n = len(str(n)) + len(body)
    return str(n).encode() + body


def pax(records, kind=b"x", name=b"PaxHeaders/x"):
    data = b"".join(record(k, v) for k, v in records)
    return header(name, len(data), kind) + pad(data)


def gnu_long(kind, text):
    return header(b"././@LongLink", len(text) + 1, kind, magic=b"ustar  \0") + pad(text + b"\0")


def reg(name, data=b"", **kw):
    return header(name, len(data), **kw) + pad(data)


def dir_(name, **kw):
    return header(name, kind=b"5", mode=kw.pop("mode", 0o755), **kw)


def link(name, target, **kw):
    return header(name, kind=b"2", mode=0o777, link=target, **kw)


def hard(name, target, **kw):
    return header(name, kind=b"1", link=target, **kw)


def text(n, seed=b"x"):
    """n bytes that do not repeat from one seed to another."""
    out = b""
    block = hashlib.sha256(seed).digest()
    while len(out) < n:
        out += block * 64
        block = hashlib.sha256(block).digest()
    return out[:n]


USR = dir_(b"usr/")
CASES = {}


def case(name, expect="exact", reason=None, layer=0, vfs=None):
    def add(make):
        CASES[name] = (make, expect, reason, layer, vfs or expect)
        return make
    return add


@case("plain")
def plain():
    return [USR + dir_(b"usr/bin/") + reg(b"usr/bin/a", text(3000), mode=0o755) + link(b"usr/b", b"bin/a") + END]


@case("sizes")
def sizes():
    ns = (0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 65536, 1048577)
    return [USR + b"".join(reg(b"usr/f%d" % n, text(n, b"%d" % n)) for n in ns) + END]


@case("pax-long-names")
def pax_long():
    name = b"usr/" + b"/".join([b"d" * 200] * 3)
    return [USR + b"".join(pax([("path", name[:n] + b"/")]) + dir_(b"short/") for n in (204, 405, 606))
            + pax([("path", name + b"/file")]) + reg(b"short", text(100))
            + pax([("path", name + b"/link"), ("linkpath", b"t" * 300)]) + link(b"short", b"t")
            + pax([("path", name + b"/hard"), ("linkpath", name + b"/file")]) + hard(b"short", b"t") + END]


@case("gnu-long-names")
def gnu_names():
    name = b"usr/" + b"n" * 200
    return [USR + gnu_long(b"L", name) + reg(name[:100], text(900), magic=b"ustar  \0")
            + gnu_long(b"K", b"k" * 150) + gnu_long(b"L", name + b"l") + link(name[:100], b"k" * 100, magic=b"ustar  \0")
            + END]


@case("ustar-prefix")
def ustar_prefix():
    return [USR + dir_(b"usr/" + b"p" * 90 + b"/") + reg(b"f" * 90, text(70), prefix=b"usr/" + b"p" * 90) + END]


@case("name-255")
def name_255():
    return [USR + pax([("path", b"usr/" + b"z" * 255)]) + reg(b"short", text(99)) + END]


@case("not-utf8")
def not_utf8():
    return [USR + reg(b"usr/\xff\xfe\x80", text(80)) + dir_(b"usr/\xe9t\xe9/") + reg(b"usr/\xe9t\xe9/\xc3", text(81, b"y"))
            + pax([("hdrcharset", b"BINARY"), ("path", b"usr/pax\xf8")]) + reg(b"short", text(82, b"z")) + END]


@case("newlines-and-escapes")
def escapes():
    names = (b"new\nline", b"tab\t", b"quote\"", b"back\\slash", b"<&>", b"\x01\x1f\x7f", "\u2028\u2029\ud7ff\U0001f600".encode(),
             "\ufffd".encode(), b"{\"type\":2}", b" ", b"\\u0041", b"-rf", b"*")
    return [USR + b"".join(reg(b"usr/" + n, text(100, n)) for n in names) + END]


@case("base256")
def base_256():
    return [USR + reg(b"usr/uid", text(70), uid=2 ** 31 - 2, gid=2 ** 31 - 2)
            + reg(b"usr/time", text(71), raw={136: base256(-1, 12)}, magic=b"ustar  \0")
            + reg(b"usr/size", text(72), raw={124: base256(72, 12)}, magic=b"ustar  \0") + END]


@case("v7")
def v7():
    return [dir_(b"usr/", magic=None) + reg(b"usr/f", text(600), magic=None, kind=b"\0")
            + link(b"usr/l", b"f", magic=None) + hard(b"usr/h", b"usr/f", magic=None)
            + header(b"usr/olddir/", mode=0o755, magic=None, kind=b"\0") + END]


@case("numbers-odd")
def numbers_odd():
    return [USR + reg(b"usr/f", text(70), raw={100: b"   644 \0", 108: b"      0 ", 136: b"13743415200 "}) + END]


@case("whiteouts")
def whiteouts():
    base = USR + b"".join(reg(b"usr/%c" % c, text(100 + c)) for c in b"abc") + dir_(b"usr/d/") + reg(b"usr/d/x", text(65)) \
        + dir_(b"usr/o/") + reg(b"usr/o/old", text(66)) + END
    upper = dir_(b"usr/") + reg(b"usr/.wh.a") + reg(b"usr/b", text(300, b"new")) + reg(b"usr/.wh.d") \
        + dir_(b"usr/o/") + reg(b"usr/o/.wh..wh..opq") + reg(b"usr/o/new", text(67)) + END
    return [base, upper]


@case("three-layers")
def three_layers():
    """Much of an ordinary image, in little."""
    ns = (0, 1, 64, 65, 4096, 4097, 300000)
    base = USR + b"".join(reg(b"usr/f%d" % n, text(n, b"%d" % n)) for n in ns) + dir_(b"usr/d/") + reg(b"usr/d/x", text(65)) \
        + dir_(b"usr/o/") + reg(b"usr/o/old", text(66)) + hard(b"usr/h4097", b"usr/f4097") + link(b"usr/l", b"f65") + END
    middle = USR + reg(b"usr/.wh.f64") + reg(b"usr/.wh.d") + dir_(b"usr/o/") + reg(b"usr/o/.wh..wh..opq") \
        + reg(b"usr/o/new", text(67), uid=1000, gid=2000, mode=0o600) + reg(b"usr/f4096", text(9000, b"new"), mode=0o4755) \
        + pax([("SCHILY.xattr.user.a", b"b")]) + reg(b"usr/user", text(71)) \
        + pax([("path", b"usr/" + b"n" * 200)]) + reg(b"usr/short", text(68), mtime=1700000000) + END
    upper = USR + header(b"usr/fifo", kind=b"6") + header(b"usr/null", kind=b"3", dev=(1, 3), mode=0o666) \
        + reg(b"usr/none", text(5000, b"z"), mode=0) + dir_(b"usr/tmp/", mode=0o1777) + END
    return [base, middle, upper]


@case("whiteout-of-a-long-name")
def whiteout_long():
    """The whiteout's own name is longer than any file's."""
    def long(prefix, data):
        return pax([("path", b"usr/" + prefix + b"n" * 255)]) + reg(b"usr/short", data)
    return [USR + long(b"", text(70)) + END, USR + long(b".wh.", b"") + END]


@case("whiteout-then-file")
def whiteout_file():
    return [USR + reg(b"usr/a", text(70)) + END, USR + reg(b"usr/.wh.a") + reg(b"usr/a", text(71, b"n")) + END]


@case("aufs-names", "exact", "missing", vfs="refused")
def aufs_names():
    return [USR + dir_(b".wh..wh.plnk/") + reg(b".wh..wh.plnk/1", text(70)) + END]


@case("whiteout-with-content", "refused", "missing")
def whiteout_content():
    return [USR + reg(b"usr/.wh.a", text(70)) + END]


@case("padding")
def padding():
    data = text(100)
    return [USR + header(b"usr/a", 100) + pad(data, b"P") + pax([("path", b"usr/b")])
            + header(b"x", 511) + pad(text(511), b"\xff") + END]


@case("no-end-blocks")
def no_end():
    return [USR + reg(b"usr/a", text(100))]


@case("one-end-block")
def one_end():
    return [USR + reg(b"usr/a", text(100)) + bytes(BLOCK)]


@case("no-final-padding")
def no_padding():
    return [USR + header(b"usr/a", 100) + text(100)]


@case("blocking-factor-20")
def blocking():
    tar = USR + reg(b"usr/a", text(100)) + END
    return [tar + bytes(-len(tar) % 10240)]


@case("trailing-garbage")
def garbage():
    return [USR + reg(b"usr/a", text(100)) + END + text(777, b"garbage")]


@case("trailing-3-mib")
def trailing_long():
    return [USR + reg(b"usr/a", text(100)) + END + text(3 << 20, b"garbage")]


@case("empty-stream")
def empty():
    return [USR + reg(b"usr/a", text(70)) + END, b""]


@case("only-zeros")
def zeros():
    return [USR + reg(b"usr/a", text(70)) + END, END]


@case("same-layer-twice")
def twice():
    tar = USR + reg(b"usr/a", text(5000)) + END
    return [tar, USR + reg(b"usr/b", text(70)) + END, tar]


@case("100-layers")
def hundred():
    return [USR + reg(b"usr/f%d" % i, text(70 + i, b"%d" % i)) + reg(b"usr/same", text(80, b"%d" % i)) + END for i in range(100)]


@case("parents-missing")
def parents_missing():
    return [USR + reg(b"usr/a/b/c/file", text(70)) + reg(b"opt/x", text(71)) + END]


@case("no-usr")
def no_usr():
    return [dir_(b"data/") + reg(b"data/x", text(70)) + END]


@case("deep")
def deep():
    out, path = USR, b"usr"
    for i in range(120):
        path += b"/directory-%03d" % i
        out += pax([("path", path + b"/")]) + dir_(b"short/")
    return [out + pax([("path", path + b"/file")]) + reg(b"short", text(70)) + END]


@case("dot-slash")
def dot_slash():
    return [dir_(b"./") + dir_(b"./usr/") + reg(b"./usr/a", text(70)) + reg(b"./usr//b", text(71)) + reg(b"usr/./c", text(72))
            + link(b"./usr/l", b"a") + hard(b"./usr/h", b"./usr/a") + END]


@case("absolute")
def absolute():
    return [dir_(b"/usr/") + reg(b"/usr/a", text(70)) + reg(b"//usr/b", text(71)) + hard(b"/usr/h", b"/usr/a") + END]


@case("dot-dot")
def dot_dot():
    return [USR + dir_(b"x/") + reg(b"x/../y", text(70)) + reg(b"../evil", text(71)) + reg(b"../../../../usr/passwd", text(72)) + END]


@case("symlinked-parent")
def symlinked():
    return [USR + dir_(b"usr/lib/") + link(b"lib", b"usr/lib") + reg(b"lib/a", text(70)) + link(b"l2", b"lib") + reg(b"l2/b", text(71)) + END]


@case("symlinked-parent-absolute")
def symlinked_absolute():
    return [USR + dir_(b"usr/lib/") + link(b"lib", b"/usr/lib") + reg(b"lib/os-release", text(70))
            + link(b"up", b"../../../../usr/lib") + reg(b"up/b", text(71)) + END]


@case("alias-overwritten", "refused", "usr/lib/foo")
def alias():
    return [USR + dir_(b"usr/lib/") + reg(b"usr/lib/foo", text(70)) + link(b"lib", b"usr/lib") + reg(b"lib/foo", text(70, b"2")) + END]


@case("hard-links")
def hard_links():
    return [USR + reg(b"usr/a", text(5000)) + hard(b"usr/b", b"usr/a") + hard(b"usr/c", b"usr/b") + link(b"usr/l", b"a")
            + hard(b"usr/m", b"usr/l") + reg(b"usr/empty") + hard(b"usr/empty2", b"usr/empty") + END]


@case("link-with-size")
def link_size():
    return [USR + reg(b"usr/a", text(70)) + hard(b"usr/b", b"usr/a", size=70) + link(b"usr/c", b"a", size=5)
            + reg(b"usr/z", text(65)) + END]


@case("types")
def types():
    return [USR + header(b"usr/fifo", kind=b"6") + header(b"usr/null", kind=b"3", dev=(1, 3), mode=0o666)
            + header(b"usr/loop", kind=b"4", dev=(7, 0), mode=0o660) + reg(b"usr/suid", text(70), mode=0o4755)
            + dir_(b"usr/tmp/", mode=0o1777) + reg(b"usr/none", text(71), mode=0) + END]


@case("xattrs")
def xattrs():
    cap = bytes.fromhex("0100000200040000000000000000000000000000")
    return [USR + pax([("SCHILY.xattr.security.capability", cap)]) + reg(b"usr/ping", text(70), mode=0o755)
            + pax([("SCHILY.xattr.user.a", b"b\0c\n")]) + reg(b"usr/user", text(71)) + END]


@case("pax-fields")
def pax_fields():
    return [pax([("comment", b"all of it")], b"g", b"pax_global_header") + USR
            + pax([("mtime", b"1600000000.123456789"), ("atime", b"1"), ("uid", b"1000"), ("uname", "\u00fc".encode()), ("X.y", b"z" * 3000)])
            + reg(b"usr/a", text(70)) + pax([("size", b"72")]) + reg(b"usr/b", text(72)) + END]


HOLES = [(0, 700), (8192, 512), (20000, 100)]
EXPANDED = 30000


def sparse_data():
    return b"".join(text(n, b"%d" % at) for at, n in HOLES)


@case("sparse-pax-0.0")
def sparse_00():
    records = [("GNU.sparse.size", b"%d" % EXPANDED), ("GNU.sparse.numblocks", b"%d" % len(HOLES))]
    for at, n in HOLES:
        records += [("GNU.sparse.offset", b"%d" % at), ("GNU.sparse.numbytes", b"%d" % n)]
    return [USR + pax(records) + reg(b"usr/sparse", sparse_data()) + reg(b"usr/z", text(65)) + END]


@case("sparse-pax-0.1")
def sparse_01():
    numbers = b",".join(b"%d,%d" % h for h in HOLES)
    return [USR + pax([("GNU.sparse.size", b"%d" % EXPANDED), ("GNU.sparse.numblocks", b"%d" % len(HOLES)),
                       ("GNU.sparse.map", numbers), ("GNU.sparse.name", b"usr/sparse")])
            + reg(b"usr/GNUSparseFile.0/sparse", sparse_data()) + reg(b"usr/z", text(65)) + END]


@case("sparse-all-hole")
def sparse_hole():
    return [USR + pax([("GNU.sparse.size", b"5000"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"5000,0"),
                       ("GNU.sparse.name", b"usr/hole")]) + reg(b"usr/hole") + reg(b"usr/z", text(65)) + END]


@case("sparse-pax-1.0", "refused", "sparse.*1\\.0")
def sparse_10():
    numbers = b"%d\n" % len(HOLES) + b"".join(b"%d\n%d\n" % h for h in HOLES)
    return [USR + pax([("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"usr/sparse"),
                       ("GNU.sparse.realsize", b"%d" % EXPANDED)])
            + reg(b"usr/GNUSparseFile.0/sparse", pad(numbers) + sparse_data()) + END]


def blob(top, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(top, "blobs", "sha256", digest), "wb") as f:
        f.write(data)
    return "sha256:" + digest


def described(top, media, data):
    return {"mediaType": "application/vnd.oci.image." + media, "digest": blob(top, data), "size": len(data)}


def write_layout(top, layers):
    os.makedirs(os.path.join(top, "blobs", "sha256"), exist_ok=True)
    diff_ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in layers]
    config = {"created": "2020-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/usr/a"]},
              "rootfs": {"type": "layers", "diff_ids": diff_ids},
              "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "odd-layers"} for _ in layers]}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described(top, "config.v1+json", json.dumps(config).encode()),
                "layers": [described(top, "layer.v1.tar", tar) for tar in layers]}
    entry = described(top, "manifest.v1+json", json.dumps(manifest).encode())
    with open(os.path.join(top, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, f)
    with open(os.path.join(top, "oci-layout"), "w") as f:
        json.dump({"imageLayoutVersion": "1.0.0"}, f)
    return diff_ids


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: odd-layers.py DIR [CASE...]")
    index = []
    for name in sys.argv[2:] or CASES:
        make, expect, reason, layer, vfs = CASES[name]
        row = {"case": name, "diff_ids": write_layout(os.path.join(sys.argv[1], name), make()),
               "expect": expect, "expect_vfs": vfs, "reason": reason}
        if reason:
            row["layer"] = layer
        index.append(row)
    with open(os.path.join(sys.argv[1], "index.json"), "w") as f:
        json.dump(index, f, indent=1)


if __name__ == "__main__":
    main()
