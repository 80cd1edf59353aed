#!/usr/bin/env bats
# `get-layer … all`: every layer in frames, in each format, read by a program that knows only the man
# page: descriptors and directories count from 0 in each layer. Quick, for the sanitizers' builds too.
# bats file_tags=tsan
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_root && require_program python3 skopeo jq || return 0
    scratch_make
    export STORE=$SCRATCH/store
    "$LIB/odd-layers.py" "$SCRATCH/odd" three-layers
    store_load debian "$SCRATCH/odd/three-layers" "$STORE" localhost/three
    unmount_below "$STORE"
}
teardown_file() { scratch_drop; }

all() { # FORMAT
    python3 "$LIB/wire-all.py" "$1" "$BUILD/splitfd" get-layer --root "$STORE/root" --runroot "$STORE/run" \
        --storage-driver overlay localhost/three all 3>&- > "$SCRATCH/seen"
    assert_same "$(jq -r '.[0].diff_ids[]' "$SCRATCH/odd/index.json")" "$(cat "$SCRATCH/seen")"
}

@test "all layers as splitfdstream" { all splitfdstream; }
@test "all layers as splitdirfdstream" { all splitdirfdstream; }
@test "all layers as tar" { all tar; }
@test "layers one by one into a repository, in each format, with and without a socket of their own" {
    local format d i options repo=$SCRATCH/repo
    for format in splitfdstream splitdirfdstream tar; do
        for options in "" "--attached --socket=stream" "--attached"; do
            # Bytes alone do not go over a socket of packets: see below.
            [ "$format $options" != "tar --attached" ] || continue
            rm -rf "$repo"
            repo_init "$repo"
            i=0
            while read -r d; do
                "$LIB/wire-pipe.py" $options "$BUILD/splitfd" get-layer --format=$format \
                    $([ -n "$options" ] || [ $format = tar ] || echo --fds=@FDS@) \
                    --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay localhost/three $i -- \
                    "$BUILD/splitfd" import-layer --format=$format --repo "$repo" \
                    $([ -n "$options" ] || [ $format = tar ] || echo --fds=@FDS@) "$d" 3>&- > /dev/null
                [ -L "$repo/streams/oci-layer-$d" ]
                i=$((i + 1))
            done < <(jq -r '.[0].diff_ids[]' "$SCRATCH/odd/index.json")
            [ "$i" -eq 3 ]
        done
    done
}
@test "a tar over a socket of packets is refused" {
    run "$LIB/wire-pipe.py" --attached "$BUILD/splitfd" get-layer --format=tar --root "$STORE/root" --runroot "$STORE/run" \
        --storage-driver overlay localhost/three 0 -- cat
    [ "$status" -ne 0 ]
    assert_match 'a tar is a stream of bytes, but standard output is a socket of packets' "$output"
    assert_match 'producer 2' "$output"
}
@test "the caller's objects directory" {
    local repo=$SCRATCH/objects fd d
    repo_init "$repo"
    mkdir -p "$repo/objects"
    d=$(jq -r '.[0].diff_ids[0]' "$SCRATCH/odd/index.json")
    exec {fd}< "$repo/objects"
    "$BUILD/splitfd" get-layer --objects=$fd --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay \
        localhost/three 0 > "$SCRATCH/stream"
    exec {fd}<&-
    "$BUILD/splitfd" import-layer --format=splitstream --repo "$repo" "$d" < "$SCRATCH/stream" > /dev/null
    [ -L "$repo/streams/oci-layer-$d" ]
}
