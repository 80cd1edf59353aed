#!/usr/bin/env bats
# What the image proxy does with a layer's files: shared extents through GetLayerSplitfd, objects
# that it stores for its client, blobs of files that are damaged or change on the way.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/proxy

setup_file() {
    require_interop
    scratch_make
    export X=$SCRATCH/x STORE=$SCRATCH/x/store
    fs_make xfs "$X" 1G
    store_make "$STORE"
    proxy_programs
    make_image
}
teardown_file() { scratch_drop; }

bud() { suite_buildah debian "$STORE" -- "$@" < /dev/null 2> /dev/null; }

# Two layers: one large file before 200 small ones and four of 300 KB; one more file on top.
make_image() {
    local c i
    mkdir -p "$SCRATCH/a/usr" "$SCRATCH/b"
    head -c 6000000 /dev/urandom > "$SCRATCH/a/usr/a-large"
    for i in $(seq 200); do head -c $((i * 37)) /dev/urandom > "$SCRATCH/a/usr/small-$i"; done
    for i in 1 2 3 4; do head -c 300000 /dev/urandom > "$SCRATCH/a/usr/z-$i"; done
    head -c 100000 /dev/urandom > "$SCRATCH/b/more"
    c=$(bud from scratch)
    bud add "$c" "$SCRATCH/a" / > /dev/null
    bud commit -q "$c" localhost/one:latest > /dev/null
    c=$(bud from localhost/one:latest)
    bud add "$c" "$SCRATCH/b" /b > /dev/null
    bud commit -q "$c" localhost/two:latest > /dev/null
    IMAGE="containers-storage:$(store_spec "$STORE")localhost/two"
    store_diff_ids "$STORE" localhost/two:latest > "$SCRATCH/ids"
    DIFF="$STORE/root/overlay/$(store_layer_ids "$STORE" "$(head -n 1 "$SCRATCH/ids")")/diff"
    export IMAGE DIFF
}

# bats test_tags=asan, tsan
@test "splitfd pull through a proxy that is splitfd itself shares extents" {
    repo_init "$X/repo"
    run_splitfd 0 pull --repo "$X/repo" --reflink=always --skopeo "$SCRATCH/bin-debian/skopeo" "$IMAGE" tag
    assert_fsck_clean "$X/repo"
    assert_layers_exact "$X/repo" tag
    assert_extents_shared "$X/repo" tag "$STORE"
}

# Every file in CLONES shares its extents with one of the same content below DIFF.
clones_share() { # CLONES DIFF
    local a b sum path
    a=$(cd "$1" && sha256sum -- *)
    b=$(cd "$2" && find . -type f -exec sha256sum {} +)
    while read -r sum path; do
        printf '%s\0%s\0' "$2/$(awk -v s="$sum" '$1 == s { print $2; exit }' <<< "$b")" "$1/$path"
    done <<< "$a" | "$BUILD/tests/lib/fiemap"
}
# example DIFF-ID COMMAND…: its output is the layer; its clones, in $X/clones, share extents.
example() {
    local diff_id=$1
    shift
    rm -rf "$X/clones"
    mkdir "$X/clones"
    assert_same "$diff_id" "sha256:$("$@" 2> "$SCRATCH/said" | sha256sum | cut -d' ' -f1)"
    assert_match "^$diff_id: [1-9][0-9]* files by descriptor$" "$(cat "$SCRATCH/said")"
    assert_same "$(find "$X/clones" -type f | wc -l)" "$(sed 's/.*: \([0-9]*\) files.*/\1/' "$SCRATCH/said")"
    clones_share "$X/clones" "$STORE/root/overlay/$(store_layer_ids "$STORE" "$diff_id")/diff"
}
@test "GetLayerSplitfd by the Python example: the exact layers, and clones that share extents" {
    local n=0 d program=$SPLITFD_TOP/contrib/examples/python/proxy-get-layer.py
    while read -r d; do
        example "$d" "$program" --skopeo "$SCRATCH/bin-debian/skopeo" --clone "$X/clones" "$IMAGE" $n
        n=$((n + 1))
    done < "$SCRATCH/ids"
    [ "$n" -eq 2 ]
    # A server without the method says so.
    run "$program" --skopeo "$SCRATCH/bin-newer/skopeo" "$IMAGE"
    [ "$status" -eq 1 ]
    assert_match "unknown method: GetLayerSplitfd" "$output"
}
@test "GetLayerSplitfd by the Rust example: the exact layers, and clones that share extents" {
    require_program cargo
    local n=0 d
    export CARGO_TARGET_DIR=$SPLITFD_CACHE/cargo-target
    (cd "$SPLITFD_TOP/contrib/examples/rust" && cargo build -q) < /dev/null 3>&-
    while read -r d; do
        example "$d" "$CARGO_TARGET_DIR/debug/proxy-get-layer" "$SCRATCH/bin-debian/skopeo" "$IMAGE" $n "$X/clones"
        n=$((n + 1))
    done < "$SCRATCH/ids"
    [ "$n" -eq 2 ]
}
# bats test_tags=asan, tsan
@test "GetLayerSplitfd into the client's objects directory: shared extents, imported by the client" {
    local a
    for a in sha512 sha256; do
        repo_init "$X/passed-$a" --algorithm fsverity-$a-12
        python3 "$LIB/proxy-objects.py" "$IMAGE" "$X/passed-$a" $a "$BUILD/splitfd" $OURS
        # All layers are there; what is left are the image's documents.
        store_pull 0 "$X/passed-$a" "$STORE" localhost/two tag
        assert_match "0 reflinked|already present" "$output"
        assert_fsck_clean "$X/passed-$a"
        assert_layers_exact "$X/passed-$a" tag
        assert_extents_shared "$X/passed-$a" tag "$STORE"
        # The same objects and streams as by a pull.
        repo_init "$X/pulled-$a" --algorithm fsverity-$a-12
        store_pull 0 "$X/pulled-$a" "$STORE" localhost/two tag
        assert_same "$(contents "$X/pulled-$a")" "$(contents "$X/passed-$a")"
    done
}
# bats test_tags=asan, tsan
@test "GetLayerSplitfd gives the exact layer in both formats, by diff_id and by the manifest's digest" {
    python3 "$LIB/proxy-splitfd.py" "$IMAGE" $OURS
    # An image that came compressed: its manifest has other digests.
    local other
    other=containers-storage:$(store_spec "$STORE")localhost/came
    skopeo copy -q --insecure-policy "$IMAGE" "oci:$SCRATCH/layout:x"
    skopeo copy -q --insecure-policy "oci:$SCRATCH/layout:x" "$other"
    python3 "$LIB/proxy-splitfd.py" "$other" $OURS > "$SCRATCH/said"
    cat "$SCRATCH/said"
    assert_same 2 "$(grep -c "another digest in the manifest" "$SCRATCH/said")"
}
# bats test_tags=asan, tsan
@test "files of the store that are damaged, change or go away while a blob is sent" {
    python3 "$LIB/proxy-damage.py" "$IMAGE" "$DIFF" $OURS
}
