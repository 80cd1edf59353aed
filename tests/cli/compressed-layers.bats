#!/usr/bin/env bats
# Every compression of tar:-: what is damaged, cut or longer than its end is refused, wherever; and a diff_id is what
# the tar must have.

load ../lib/common

setup() {
    require_program zstd
    cd "$BATS_TEST_TMPDIR"
    python3 - << 'PYTHON'
import bz2, gzip, hashlib, io, lzma, subprocess, tarfile
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
    for i in range(3):
        info = tarfile.TarInfo("f%d" % i)
        info.size = 30000 + i
        t.addfile(info, io.BytesIO(hashlib.shake_128(b"%d" % i).digest(info.size // 2) + bytes((info.size + 1) // 2)))
tar = out.getvalue()
zstd = lambda data: subprocess.run(["zstd", "-qc", "--check"], input=data, capture_output=True, check=True).stdout
open("tar", "wb").write(tar)
for name, pack in ("gzip", lambda d: gzip.compress(d, 6, mtime=0)), ("bzip2", bz2.compress), ("xz", lzma.compress), ("zstd", zstd):
    open(name, "wb").write(pack(tar))
    open(name + "-two", "wb").write(pack(tar[:20000]) + pack(tar[20000:]))
PYTHON
}

get() { timeout 60 "$BUILD/splitfd" get-layer --format=tar tar:- "${2:-0}" < "$1" > out 2> errors; }
all="gzip bzip2 xz zstd"

@test "one stream or two: the tar" {
    for f in $all; do
        get "$f"
        cmp tar out
        get "$f-two"
        cmp tar out
    done
}

# A byte that no decoder needs (gzip's time, zstd's window) may change; the content may not.
@test "a changed byte, anywhere: refused, or the same content" {
    python3 - "$BUILD/splitfd" $all << 'PYTHON'
import subprocess, sys
tar = open("tar", "rb").read()
refused = 0
for name in sys.argv[2:]:
    for name in name, name + "-two":
        good = open(name, "rb").read()
        n = len(good)
        for at in [*range(16), *range(16, n - 16, n // 24), *range(n - 16, n)]:
            data = good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1:]
            p = subprocess.run([sys.argv[1], "get-layer", "--format=tar", "tar:-"], input=data, capture_output=True)
            assert p.returncode == 4 or p.returncode == 0 and p.stdout == tar, (name, at, p.returncode, p.stderr)
            refused += p.returncode == 4
assert refused > 350, refused
PYTHON
}

@test "cut short: refused" {
    local f n size got
    for f in $all; do
        size=$(stat -c %s "$f")
        for n in 1 2 3 4 5 8 9 12 13 28 29 500 $((size / 2)); do
            head -c -"$n" "$f" > cut
            got=0
            get cut || got=$?
            echo "# $f without $n: $got $(cat errors)"
            [ "$got" -eq 4 ]
        done
    done
}

@test "bytes after the end: refused" {
    local f rest got
    for f in $all; do
        for rest in junk BZh 'BZh91AY&SX' '(\xb5/' '\x1f\x8b' '\xfd7zXZ' '\0\0\0\0x'; do
            { cat "$f"; printf "$rest"; } > longer
            got=0
            get longer || got=$?
            echo "# $f and $rest: $got $(cat errors)"
            [ "$got" -eq 4 ]
        done
        # A second stream whose first byte is damaged is no end.
        python3 -c "d, n = open('$f-two', 'rb').read(), $(get_split "$f"); open('longer', 'wb').write(d[:n] + bytes([d[n] ^ 1]) + d[n + 1:])"
        got=0
        get longer || got=$?
        [ "$got" -eq 4 ]
    done
}
# Where the second stream of NAME-two begins: its magic's last place.
get_split() { python3 -c "d = open('$1-two', 'rb').read(); print(d.rindex(d[:4]))"; }

@test "a diff_id as LAYER is what the tar must have" {
    local d other f got
    d=sha256:$(sha256sum < tar | cut -d' ' -f1)
    other=sha256:$(sha256sum < /dev/null | cut -d' ' -f1)
    for f in tar $all; do
        get "$f" "$d"
        cmp tar out
        got=0
        get "$f" "$other" || got=$?
        [ "$got" -eq 4 ]
        assert_match "is $d, not the layer $other" "$(cat errors)"
    done
    got=0
    get tar "${d}0" || got=$?
    [ "$got" -eq 3 ]
    assert_match 'or its diff_id \(sha256:HEX\)' "$(cat errors)"
    # Into objects, too.
    mkdir -p repo/objects
    got=0
    "$BUILD/splitfd" get-layer --objects 9 tar:- "$other" < tar > out 2> errors 9< repo/objects || got=$?
    [ "$got" -eq 4 ]
    "$BUILD/splitfd" get-layer --objects 9 tar:- "$d" < tar > out 9< repo/objects
    [ -s out ]
}
