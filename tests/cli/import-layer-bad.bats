#!/usr/bin/env bats
# Streams and descriptors that are wrong: one clear error, the right exit code, nothing visible.
# bats file_tags=asan
load ../lib/common

BAD=$LIB/wire-bad.py

setup() {
    DIFF_ID=$("$BAD" diffid)
    repo=$BATS_TEST_TMPDIR/repo
    splitfd init --insecure --repo "$repo" > /dev/null
}

# wrong CODE CASE REGEX [OPTION…]
wrong() {
    local code=$1 case=$2 regex=$3 got=0 errors
    shift 3
    errors=$(timeout 60 "$BAD" "$case" "$BUILD/splitfd" import-layer --repo "$repo" --fds=@FDS@ "$@" "$DIFF_ID" 2>&1 3>&-) || got=$?
    echo "$case -> $got: $errors"
    [ "$got" -eq "$code" ]
    assert_match "$regex" "$errors"
    if [ "$code" -ne 0 ]; then
        assert_match '^splitfd import-layer: layer sha256:' "$errors"
        assert_same 1 "$(wc -l <<< "$errors")"
        [ ! -e "$repo/streams" ] || assert_silent ls "$repo/streams"
    fi
}

@test "what is right is taken" {
    wrong 0 good 'objects  1 new'
    rm -rf "$repo/streams"
    wrong 0 dir-good 'objects' --format=splitdirfdstream
}
@test "descriptors of the wrong kind" {
    wrong 4 write-only 'byte 520: descriptor 0: the descriptor is not open for reading'
    wrong 4 o-path 'not open for reading'
    wrong 4 directory 'not a regular file'
    wrong 4 fifo 'not a regular file'
    wrong 4 socket 'not a regular file'
    wrong 4 device 'not a regular file'
}
@test "files of the wrong size, and changed" {
    wrong 4 small 'byte 512 of the tar.*the tar says 3000 bytes, the object has 2999'
    wrong 4 large 'byte 512 of the tar.*the tar says 3000 bytes, the object has 3001'
    wrong 4 changed 'byte 4608 of the tar.*this is not the layer'
}
@test "files that change after their size was looked at, while they are read" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    "$BAD" shrinking true || [ $? -ne 77 ] || skip "kernel: no permission events of fanotify"
    wrong 4 shrinking "byte 512 of the tar.*changed its size while it was read"
    DIFF_ID=$("$BAD" diffid-large)
    wrong 4 shrinking-large "byte 512 of the tar.*became shorter while it was read"
    wrong 4 growing-large "byte 512 of the tar.*changed"
}
@test "missing, extra, skipped, repeated descriptors" {
    wrong 4 missing 'byte 520: descriptor 0 is referred to, but the channel of the descriptors was closed'
    wrong 4 extra 'byte 1632: the stream ended, but 1 more descriptors came'
    wrong 4 skipped 'descriptor 1 is referred to where 0 has to come \(one was skipped\)'
    wrong 4 repeated 'descriptor 0 is referred to where 1 has to come \(it was used before\)'
    wrong 4 index-2-to-the-32 'descriptor 4294967296: an index has at most 32 bits'
}
@test "prefixes" {
    wrong 4 minimum 'byte 0: an inline chunk of 9223372036854775808 bytes'
    wrong 4 over-the-limit 'byte 0: an inline chunk of 268435457 bytes, at most 268435456'
    wrong 4 half-a-prefix 'the stream ends inside a chunk.s prefix, 5 of 8 bytes are missing'
}
@test "a peer that closes early, and silent ones" {
    wrong 4 early-close 'sha256 is [0-9a-f]*: this is not the layer'
    wrong 1 silent 'nothing arrived on the stream for 1000 ms' --timeout=1
    wrong 1 silent-channel 'silent for 1000 ms' --timeout=1
}
@test "names of a splitdirfdstream" {
    local d=--format=splitdirfdstream
    wrong 4 dir-absolute 'byte 517: the name .* is absolute' $d
    wrong 4 dir-dotdot "component '..'" $d
    wrong 4 dir-dotdot-inside "component '..'" $d
    wrong 4 dir-nul 'NUL' $d
    wrong 4 dir-empty 'is empty' $d
    wrong 4 dir-long 'a name of 4097 bytes, at most 4096' $d
    wrong 4 dir-out 'not a regular file' $d
    wrong 4 dir-in 'not a regular file' $d
    wrong 4 dir-fifo 'not a regular file' $d
    wrong 4 dir-socket 'not a regular file' $d
    wrong 4 dir-directory 'not a regular file' $d
    wrong 4 dir-size 'has 3000 bytes|says 3000 bytes' $d
    wrong 4 dir-index 'descriptor 1 is referred to, but the channel' $d
    wrong 4 dir-no-directory 'directory 0: a descriptor that should be a directory is none' $d
    wrong 4 dir-unknown-type 'byte 517: unknown chunk type 0x03' $d
}
# Every single byte: tests/unit/test-wire-truncated.c. Here, the program, around each chunk's ends.
@test "truncated in, before and behind each chunk" {
    local at n got places=() size diff_id stream=$BATS_TEST_TMPDIR/stream layer=$BATS_TEST_TMPDIR/layer.tar
    python3 -c '
import io, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.USTAR_FORMAT)
i = tarfile.TarInfo("f"); i.size = 70; t.addfile(i, io.BytesIO(b"c" * 70))
t.close()' > "$layer"
    diff_id=sha256:$(sha256sum < "$layer" | cut -d' ' -f1)
    "$BUILD/splitfd" get-layer --inline-max=4096 tar:- < "$layer" > "$stream"
    size=$(stat -c %s "$stream")
    places=($(splitfd stream dump --json "$stream" | jq '.chunks[].offset') "$size")
    [ ${#places[@]} -ge 4 ]
    for at in "${places[@]}"; do
        for n in $((at - 1)) "$at" $((at + 1)) $((at + 7)) $((at + 8)) $((at + 40)); do
            [ "$n" -ge 0 ] && [ "$n" -lt "$size" ] || continue
            got=0
            head -c "$n" "$stream" |
                "$BUILD/splitfd" import-layer --repo "$repo" "$diff_id" > "$BATS_TEST_TMPDIR/out" 2>&1 || got=$?
            [ "$got" -eq 4 ] && grep -q 'byte [0-9]' "$BATS_TEST_TMPDIR/out" ||
                { cat "$BATS_TEST_TMPDIR/out"; echo "at $n: $got"; return 1; }
        done
    done
    [ ! -e "$repo/streams" ] || assert_silent ls "$repo/streams"
    "$BUILD/splitfd" import-layer --repo "$repo" "$diff_id" < "$stream" > /dev/null
}
@test "a reader of the stream that stops reading, in each format" {
    local format code
    head -c 3000000 /dev/zero > "$BATS_TEST_TMPDIR/f"
    for format in splitfdstream splitdirfdstream tar "tar --no-verify"; do
        mkfifo "$BATS_TEST_TMPDIR/fifo"
        exec 9<> "$BATS_TEST_TMPDIR/fifo"
        code=0
        tar -C "$BATS_TEST_TMPDIR" -cf - f |
            timeout 30 "$BUILD/splitfd" get-layer --timeout=1 --inline-max=4000000 --format=$format tar:- \
                > "$BATS_TEST_TMPDIR/fifo" 2> "$BATS_TEST_TMPDIR/said" 9>&- || code=$?
        exec 9>&-
        rm "$BATS_TEST_TMPDIR/fifo"
        [ "$code" -eq 1 ]
        assert_match 'the reader of the (stream|tar) accepted no data for 1000 ms' "$(cat "$BATS_TEST_TMPDIR/said")"
    done
}
@test "words that are wrong" {
    run_splitfd 2 import-layer --repo "$repo" sha256:12
    run_splitfd 2 import-layer --repo "$repo"
    run_splitfd 2 import-layer --format=zip --repo "$repo" "$DIFF_ID"
    run_splitfd 2 import-layer --fds=0 --repo "$repo" "$DIFF_ID"
    run_splitfd 2 import-layer --fds=199 --repo "$repo" "$DIFF_ID"
    run_splitfd 3 import-layer --repo "$repo/none" "$DIFF_ID"
    run_splitfd 2 get-layer tar:layer.tar
    run_splitfd 2 get-layer --format=splitstream tar:-
    run_splitfd 2 get-layer --objects=1 --format=tar tar:-
}
