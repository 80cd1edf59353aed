#!/usr/bin/env bats
# Layers whose file tree is contradictory or hostile (tests/lib/bad-trees.py): one error that names
# layer and path, nothing tagged that was not before. Those that have no one tree: stored all the
# same, without an image, with the reason.
# bats file_tags=asan

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() {
    require_interop || return 0
    scratch_make
    export BAD=$SCRATCH/bad TEMPLATE=$SCRATCH/template
    python3 "$LIB/bad-trees.py" "$BAD"
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" plain
    # A repository in which the tag is an older image.
    repo_init "$TEMPLATE"
    "$BUILD/splitfd" pull --quiet --insecure-policy --repo "$TEMPLATE" "oci:$SCRATCH/odd/plain" tag > /dev/null
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$SCRATCH/repo
    rm -rf "$repo" && cp -a "$TEMPLATE" "$repo"
}

cases() { jq -r --arg i "$1" '.[] | select(.image == $i) | .case' "$BAD/index.json"; }
fact() { jq -r --arg c "$1" ".[] | select(.case == \$c) | .$2 // \"\"" "$BAD/index.json"; }
names_of() { (cd "$repo" && find streams images -type l -printf '%p %l\n' | LC_ALL=C sort); }

# The text names the layer, then the path, then the reason.
assert_names() { # CASE TEXT
    assert_match "layer $(fact "$1" layer): .*$(fact "$1" path).*$(fact "$1" reason)" "$2"
    # Once.
    [[ $2 != *"$(fact "$1" layer)"*"$(fact "$1" layer)"* ]] || { echo "the layer is named twice: $2"; return 1; }
}

assert_case_refused() { # CASE PULL-ARGUMENT…
    local case=$1 before
    shift
    before=$(names_of)
    run_splitfd 4 pull --repo "$repo" "$@" tag
    assert_one_error '^splitfd pull: '
    assert_names "$case" "$errors"
    assert_same "$before" "$(names_of)"
}

@test "through skopeo: each has an error with layer and path; the tag stays on the old image" {
    local case n=0
    for case in $(cases refused); do
        assert_case_refused "$case" --insecure-policy "oci:$BAD/$case" || { echo "case $case"; return 1; }
        n=$((n + 1))
    done
    [ $n -ge 12 ]
    assert_cfsctl_accepts_tag
}

# What the failed pulls have left is garbage, nothing else; the old image is whole.
assert_cfsctl_accepts_tag() {
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" tag
    assert_same "$(repo_names "$TEMPLATE")" "$(repo_names "$repo")"
}

@test "without an image: layers, config, manifest and tag are stored, the reason is printed" {
    local case n=0 images
    images=$(ls "$repo/images")
    for case in $(cases without); do
        SPLITFD_STDERR_OK=1 run_splitfd 0 pull --repo "$repo" --insecure-policy "oci:$BAD/$case" "$case"
        assert_same 1 "$(wc -l <<< "$errors")"
        assert_match '^note: no mountable image was made: ' "$errors"
        assert_names "$case" "$errors"
        refute grep '^image' <<< "$output"
        assert_same "$images" "$(ls "$repo/images")"
        assert_layers_exact "$repo" "$case"
        run_splitfd '1|3|4' mount --repo "$repo" "$case" "$SCRATCH"
        n=$((n + 1))
    done
    [ $n -ge 6 ]
    assert_fsck_clean "$repo"
}

@test "from podman's store: two of those that container-libs take" {
    local case
    for case in below-a-file-of-the-base dot-dot; do
        store_load debian "$BAD/$case" "$SCRATCH/store" "localhost/$case"
    done
    assert_case_refused below-a-file-of-the-base --root "$SCRATCH/store/root" --runroot "$SCRATCH/store/run" \
        localhost/below-a-file-of-the-base
    SPLITFD_STDERR_OK=1 store_pull 0 "$repo" "$SCRATCH/store" localhost/dot-dot tag
    assert_names dot-dot "$errors"
    assert_fsck_clean "$repo"
}

# The blob of a case, stored as the layer DIFFID.
store_stream() { # CASE DIFFID
    python3 "$LIB/put-layer-stream.py" "$repo" "$2" < "$BAD/$1/blobs/sha256/$(fact "$1" layer | cut -d: -f2)"
    assert_same "$(fact "$1" layer)" "sha256:$(splitfd stream cat --repo "$repo" "oci-layer-$2" | sha256sum | cut -d' ' -f1)"
}

@test "a stored stream that is no tar" {
    local case
    for case in no-tar tar-then-no-tar; do
        store_stream "$case" "$(fact "$case" layer)"
        assert_case_refused "$case" --insecure-policy "oci:$BAD/$case"
    done
}

@test "the name of a layer in podman's store leads to a stream that is no tar" {
    local good before
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" xattrs
    store_load debian "$SCRATCH/odd/xattrs" "$SCRATCH/store" localhost/xattrs
    good=$(store_diff_ids "$SCRATCH/store" localhost/xattrs:latest)
    store_stream no-tar "$good"
    before=$(names_of)
    store_pull 4 "$repo" "$SCRATCH/store" localhost/xattrs tag
    assert_one_error "layer $good: .*before byte 0 of the tar"
    assert_same "$before" "$(names_of)"
}
