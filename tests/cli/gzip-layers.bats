#!/usr/bin/env bats
# gzip as podman takes it: every member's checksum and length count.

load ../lib/common

setup() { cd "$BATS_TEST_TMPDIR" && python3 - << 'PYTHON'
import gzip, hashlib, io, struct, tarfile, zlib
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
    for i in range(5):
        info = tarfile.TarInfo("f%d" % i)
        info.size = 70000 + i
        t.addfile(info, io.BytesIO(hashlib.shake_128(b"%d" % i).digest(info.size)))
tar = out.getvalue()
good = gzip.compress(tar, 6, mtime=0)
open("tar", "wb").write(tar)
def flip(at):
    at %= len(good)
    return good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
raw = zlib.compressobj(6, zlib.DEFLATED, -15)
body = raw.compress(tar) + raw.flush()
header = b"\x1f\x8b\x08\x1c" + bytes(5) + b"\xff" + struct.pack("<H", 6) + b"AB\x02\0xy" + b"name\0" + b"comment\0"
empty = gzip.compress(b"", mtime=0)
files = {
    "good-plain": good, "good-members": gzip.compress(tar[:600]) + empty + gzip.compress(tar[600:]) + empty,
    "good-fields": header + body + struct.pack("<II", zlib.crc32(tar), len(tar)), "good-padding": good + bytes(70000),
    "bad-crc": flip(-6), "bad-length": flip(-1), "bad-data": flip(3000), "bad-header": flip(2), "bad-cut": good[:-3],
    "bad-half": good[:len(good) // 2], "bad-junk": good + b"junk", "bad-padding": good + bytes(9) + b"x",
    "bad-second": good + empty[:-1] + b"\1",
}
for name, data in files.items():
    open(name, "wb").write(data)
PYTHON
}

get() { timeout 60 "$BUILD/splitfd" get-layer --format=tar tar:- "${2:-0}" < "$1" > out 2> errors; }

@test "what is gzip comes out as it went in" {
    for f in good-*; do
        echo "# $f"
        get "$f"
        cmp tar out
    done
}

@test "what is damaged is refused" {
    local got
    for f in bad-*; do
        got=0
        get "$f" || got=$?
        echo "# $f: $got $(cat errors)"
        [ "$got" -eq 4 ]
        assert_match 'cannot decompress: .* at byte [0-9]+' "$(cat errors)"
    done
}

@test "what comes in pieces, with every field and any damage: as zlib reads it" {
    local seed=${SEED:-$RANDOM} got=0
    [ -x "$BUILD/tests/fuzz/fuzz-gzip" ] || skip "needs zlib; contrib/install-deps --tests installs it"
    echo "# SEED=$seed"
    mkdir files
    python3 "$LIB/gzip-files.py" files "${FILES:-3000}" "$seed"
    "$BUILD/tests/fuzz/fuzz-gzip" files > out 2> errors || got=$?
    echo "# $got after $(tail -n 1 out): $(cat errors)"
    [ "$got" -eq 0 ]
    [ "$(grep -c ^ok out)" -eq "${FILES:-3000}" ]
}
