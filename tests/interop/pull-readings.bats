#!/usr/bin/env bats
# Layers that podman and cfsctl read in two ways (tests/lib/reading-layers.py). The truth of a tree is what
# podman mounts, that of an image's id what cfsctl makes.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() {
    require_interop || return 0
    scratch_make
    export CASES=$SCRATCH/cases STORE=$SCRATCH/store
    python3 "$LIB/reading-layers.py" "$CASES"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$BATS_TEST_TMPDIR/repo
    repo_init "$repo"
}

cases() { jq -r --arg k "$1" '.[] | select(.kind == $k) | .case' "$CASES/index.json"; }
reason() { jq -r --arg c "$1" '.[] | select(.case == $c) | .reason' "$CASES/index.json"; }
pod() { podman --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay "$@"; }

# Names, types, modes, owners, sizes, times, links, bytes of what is below usr.
list_tree() { # DIR
    [ -d "$1/usr" ] || { echo "no usr in $1"; return 1; }
    (cd "$1" && find usr -type d -printf '%p %y %m %U %G\n' && find usr -type l -printf '%p %y %U %G %l %T@\n' &&
        find usr ! -type d ! -type l -printf '%p %y %m %U %G %s %n %T@\n' &&
        find usr \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + && find usr -type f -exec sha256sum {} +) | LC_ALL=C sort
}
load_case() { store_load debian "$CASES/$1" "$STORE" "localhost/$1:latest"; } # CASE
podman_tree() { # CASE
    local dir
    load_case "$1" || return 1
    dir=$(pod image mount "localhost/$1") || return 1
    list_tree "$dir" || return 1
    pod image umount "localhost/$1" > /dev/null
}
image_tree() { # TAG
    local dir=$BATS_TEST_TMPDIR/mnt
    mkdir -p "$dir"
    splitfd mount --repo "$repo" "$1" "$dir" || return 1
    list_tree "$dir" || return 1
    umount "$dir"
}
assert_podmans_tree() { # CASE
    local want got
    want=$(podman_tree "$1") && [ -n "$want" ] || { echo "podman: $want"; return 1; }
    got=$(image_tree "$1") || { echo "no tree: $got"; return 1; }
    assert_same "$want" "$got"
}
pull_case() { SPLITFD_STDERR_OK=1 run_splitfd 0 pull --quiet --repo "$repo" --insecure-policy "$@"; } # ARGUMENT…

@test "cfsctl makes no image: it is podman's tree" {
    local case n=0
    for case in $(cases podman) $(cases sparse); do
        echo "# $case"
        pull_case "oci:$CASES/$case" "$case"
        assert_match $'\nimage ' "$output"
        assert_podmans_tree "$case"
        assert_layers_exact "$repo" "$case"
        # cfsctl takes the whole text for a name, with a NUL in it; no file can have it.
        [ "$case" = gnu-long-nul ] || refute cfs "$repo" oci compute-id "$case" 2> /dev/null
        n=$((n + 1))
    done
    [ $n -ge 18 ]
    # What is in no layer is kept by the image, through cfsctl's gc, too.
    cfs "$repo" gc > /dev/null
    assert_fsck_clean "$repo"
    run_splitfd 0 fsck --repo "$repo"
    assert_podmans_tree sparse-0.1
    assert_podmans_tree dir-size-large
}

@test "the same from podman's store" {
    local case
    for case in $(cases podman); do
        echo "# $case"
        load_case "$case"
        SPLITFD_STDERR_OK=1 store_pull 0 "$repo" "$STORE" "localhost/$case" "$case"
        assert_match $'\nimage ' "$output"
        assert_podmans_tree "$case"
    done
    load_case sparse-1.0
    store_pull '1|4' "$repo" "$STORE" localhost/sparse-1.0 sparse
    assert_match 'sparse file of format 1.0' "$errors"
    assert_fsck_clean "$repo"
}

@test "cfsctl makes another tree: no image but by --tree" {
    local case n=0 theirs=$SCRATCH/theirs id
    repo_init "$theirs"
    for case in $(cases two); do
        echo "# $case"
        pull_case "oci:$CASES/$case" "$case"
        assert_match "^note: no mountable image was made: layer sha256:[0-9a-f]*: .*$(reason "$case").*--tree=podman or --tree=cfsctl makes one" "$errors"
        assert_match podman "${errors%%--tree*}"
        assert_match cfsctl "${errors%%--tree*}"
        refute grep '^image' <<< "$output"
        run_splitfd '1|3|4' mount --repo "$repo" "$case" "$SCRATCH"
        run_splitfd 4 compute-id --repo "$repo" "$case"
        assert_match '--tree=podman' "$errors"
        assert_layers_exact "$repo" "$case"

        cfs "$theirs" oci pull "oci:$CASES/$case" "$case" > /dev/null
        id=$(cfs "$theirs" oci compute-id "$case")
        [ -n "$id" ]
        run_splitfd 0 compute-id --tree=cfsctl --repo "$repo" "$case"
        assert_same "$id" "$output"
        pull_case --tree=cfsctl "oci:$CASES/$case" "$case"
        assert_match "image    $id" "$output"

        pull_case --tree=podman "oci:$CASES/$case" "$case"
        id=$(sed -n 's/^image *//p' <<< "$output")
        assert_podmans_tree "$case"
        SPLITFD_STDERR_OK=1 run_splitfd 0 compute-id --tree=podman --repo "$repo" "$case"
        assert_same "$id" "$output"
        n=$((n + 1))
    done
    [ $n -ge 9 ]
    cfs "$repo" gc > /dev/null
    assert_fsck_clean "$repo"
    assert_podmans_tree dir-size-file
}

@test "podman does not take the layer: it is cfsctl's image" {
    local case theirs=$SCRATCH/theirs
    repo_init "$theirs" 2> /dev/null || :
    for case in $(cases cfsctl); do
        refute load_case "$case"
        pull_case "oci:$CASES/$case" "$case"
        cfs "$theirs" oci pull "oci:$CASES/$case" "$case" > /dev/null
        assert_match "image    $(cfs "$theirs" oci compute-id "$case")" "$output"
    done
    # The old form of sparse files: neither takes it; the file is what archive/tar reads.
    pull_case "oci:$CASES/sparse-old" old
    pull_case "oci:$CASES/sparse-1.0" new
    assert_same "$(image_tree new)" "$(image_tree old)"
}

@test "an owner of 2^32 or more: cut as by podman and cfsctl, with a note" {
    pull_case "oci:$CASES/large-owner" large-owner
    assert_match 'note: .*the owner or group of usr/x is 2\^32 or more and is cut to 3:4' "$errors"
    assert_match "image    $(cfs "$repo" oci compute-id large-owner)" "$output"
    assert_podmans_tree large-owner
}

@test "usage of --tree" {
    run_splitfd 2 pull --repo "$repo" --tree=docker "oci:$CASES/two-pax"
    assert_one_error "podman or cfsctl, not 'docker'"
}
