#!/usr/bin/env bats
# Streams and descriptors that are wrong: one clear error, the right exit code, nothing visible.
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
        [ -z "$(ls "$repo/streams" 2> /dev/null)" ]
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
@test "files of the wrong size, changed, and changing while they are read" {
    wrong 4 small 'the tar says 3000 bytes, the object has 2999'
    wrong 4 large 'the tar says 3000 bytes, the object has 3001'
    wrong 4 changed 'this is not the layer'
    # Sometimes it is caught in one piece; it may never be taken for another layer.
    run timeout 60 "$BAD" shrinking "$BUILD/splitfd" import-layer --repo "$repo" --fds=@FDS@ "$DIFF_ID"
    [ "$status" -eq 4 ] || [ "$status" -eq 0 ] || [ "$status" -eq 1 ]
    [ "$status" -eq 0 ] || [ -z "$(ls "$repo/streams" 2> /dev/null)" ]
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
@test "truncated at every byte" {
    "$BUILD/splitfd" get-layer --inline-max=4096 tar:- < <(python3 -c '
import io, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.USTAR_FORMAT)
i = tarfile.TarInfo("f"); i.size = 70; t.addfile(i, io.BytesIO(b"c" * 70))
sys.stdout.buffer.write(bytes(1024))
') > "$BATS_TEST_TMPDIR/stream"
    size=$(stat -c %s "$BATS_TEST_TMPDIR/stream")
    for ((n = 0; n < size; n += n < 700 ? 7 : 61)); do
        got=0
        head -c "$n" "$BATS_TEST_TMPDIR/stream" |
            "$BUILD/splitfd" import-layer --repo "$repo" "$DIFF_ID" > "$BATS_TEST_TMPDIR/out" 2>&1 || got=$?
        [ "$got" -eq 4 ] || { cat "$BATS_TEST_TMPDIR/out"; echo "at $n: $got"; return 1; }
    done
    [ -z "$(ls "$repo/streams" 2> /dev/null)" ]
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
