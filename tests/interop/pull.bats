#!/usr/bin/env bats
# A real image, from stores of both suites on three file systems: what cfsctl says of the result.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    SMALL=$("$LIB/images" small)
    export SMALL ORACLE=$SCRATCH/oracle
    "$CFSCTL" --repo "$ORACLE" init --insecure > /dev/null
    "$CFSCTL" --repo "$ORACLE" oci pull "oci:$SMALL" small > /dev/null
    for fs in xfs btrfs ext4; do fs_make $fs "$SCRATCH/$fs" 2G; done
}
teardown_file() { scratch_drop; }

# A store with the image and a repository beside it, both for this test only.
fresh() { # FS SUITE [DRIVER]
    store=$SCRATCH/$1/s$BATS_TEST_NUMBER repo=$SCRATCH/$1/r$BATS_TEST_NUMBER
    driver=${3:-overlay}
    store_load "$2" "$SMALL" "$store" localhost/small "$driver"
    repo_init "$repo"
}
teardown() {
    [ -z "${store:-}" ] || { unmount_below "$store"; rm -rf "$store" "$repo"; }
}

# All of it for one store: accepted, exact, the same objects and streams as cfsctl's own pull.
pull_and_judge() {
    store_pull 0 "$repo" "$store" localhost/small small
    assert_match '^manifest sha256:[0-9a-f]{64}' "$output"
    grep -qx 'tagged   small' <<< "$output"
    assert_cfsctl_accepts "$repo" small
    assert_same_streams content "$repo" small "$ORACLE"
    assert_same "$(cfs "$ORACLE" oci compute-id small)" "$(cfs "$repo" oci compute-id small)"
    assert_same "$(cfs "$ORACLE" oci dump small | sha256sum)" "$(cfs "$repo" oci dump small | sha256sum)"
    assert_same "$(grep '^config ' <<< "$output")" \
        "config   $(cfs "$ORACLE" oci inspect small --manifest | jq -r .config.digest)"
}
assert_all_shared() {
    assert_same 0 "$(objects_number copied)"
    assert_same "0 B" "$(objects_number bytes-copied)"
    [ "$(objects_number reflinked)" -gt 1000 ]
    assert_extents_shared "$repo" small "$store"
}
assert_all_copied() {
    assert_silent objects_number reflinked
    [ "$(objects_number copied)" -gt 1000 ]
}

# bats test_tags=asan, tsan
@test "XFS, store of Debian's suite: accepted, exact, every extent shared" {
    fresh xfs debian
    pull_and_judge
    assert_all_shared
}

@test "XFS, store of the newer suite" {
    require_newer
    fresh xfs newer
    pull_and_judge
    assert_all_shared
}

@test "btrfs, store of Debian's suite: every extent shared" {
    fresh btrfs debian
    pull_and_judge
    assert_all_shared
}

@test "btrfs, store of the newer suite" {
    require_newer
    fresh btrfs newer
    pull_and_judge
    assert_all_shared
}

# bats test_tags=asan
@test "ext4, store of Debian's suite: all copied, and the numbers say so" {
    fresh ext4 debian
    pull_and_judge
    assert_all_copied
}

@test "ext4, store of the newer suite" {
    require_newer
    fresh ext4 newer
    pull_and_judge
    assert_all_copied
}

# bats test_tags=asan
@test "a vfs store of Debian's suite" {
    fresh xfs debian vfs
    pull_and_judge
    assert_same 0 "$(objects_number copied)"
}

@test "a vfs store of the newer suite" {
    require_newer
    fresh xfs newer vfs
    pull_and_judge
    assert_same 0 "$(objects_number copied)"
}

@test "a store on XFS, the repository on another file system: copied, the same streams" {
    fresh xfs debian
    repo=$SCRATCH/ext4/other
    repo_init "$repo"
    pull_and_judge
    assert_all_copied
}

# bats test_tags=asan
@test "a sha256 repository" {
    fresh xfs debian
    local oracle=$SCRATCH/oracle256
    "$CFSCTL" --repo "$oracle" init --insecure --algorithm fsverity-sha256-12 > /dev/null
    "$CFSCTL" --repo "$oracle" oci pull "oci:$SMALL" small > /dev/null
    repo=$SCRATCH/xfs/repo256
    splitfd init --insecure --algorithm fsverity-sha256-12 --repo "$repo"
    ORACLE=$oracle pull_and_judge
    assert_all_shared
}

@test "a repository that cfsctl made" {
    fresh xfs debian
    rm -rf "$repo"
    "$CFSCTL" --repo "$repo" init --insecure > /dev/null
    pull_and_judge
}

# bats test_tags=asan
@test "--reflink=always works where extents can be shared and is an error where not" {
    fresh xfs debian
    store_pull 0 "$repo" "$store" localhost/small small -- --reflink=always
    assert_all_shared
    local other=$SCRATCH/ext4/always
    repo_init "$other"
    store_pull 1 "$other" "$store" localhost/small small -- --reflink=always
    assert_nothing_visible "$other"
}

# bats test_tags=asan, tsan
@test "--reflink=never copies, --verify-diffid and every number of threads give the same streams" {
    fresh xfs debian
    store_pull 0 "$repo" "$store" localhost/small small -- --reflink=never
    assert_all_copied
    assert_same_streams content "$repo" small "$ORACLE"
    local jobs other
    # Nor are extents shared by copy_file_range(2), which large files would be copied by.
    find "$repo/objects" -type f -size +300k -print0 | xargs -0 filefrag -v > "$BATS_TEST_TMPDIR/extents"
    [ "$(grep -c 'extents\? found' "$BATS_TEST_TMPDIR/extents")" -ge 3 ]
    refute grep -q 'shared' "$BATS_TEST_TMPDIR/extents"
    for jobs in 1 2 7; do
        other=$SCRATCH/xfs/jobs-$jobs
        repo_init "$other"
        store_pull 0 "$other" "$store" localhost/small small -- --jobs $jobs --verify-diffid
        assert_same "$(repo_names "$repo")" "$(repo_names "$other")"
        rm -rf "$other"
    done
}

@test "a second pull reads no layer and changes nothing; cfsctl's own pull afterwards neither" {
    fresh xfs debian
    store_pull 0 "$repo" "$store" localhost/small small
    local names config
    names=$(repo_names "$repo")
    store_pull 0 "$repo" "$store" localhost/small small
    assert_same "$names" "$(repo_names "$repo")"
    config=$(grep '^config ' <<< "$output")
    assert_match "$config" "$(cfs "$repo" oci pull "oci:$SMALL" small)"
    assert_fsck_clean "$repo"
    cfs "$repo" gc > /dev/null
    assert_layers_exact "$repo" small
}

# bats test_tags=asan
@test "a pull of what cfsctl pulled adopts its layer streams" {
    fresh xfs debian
    cfs "$repo" oci pull "oci:$SMALL" theirs > /dev/null
    local d before after
    before=$(for d in $(tag_diff_ids "$repo" theirs); do stream_object "$repo" "oci-layer-$d"; done)
    store_pull 0 "$repo" "$store" localhost/small small
    after=$(for d in $(tag_diff_ids "$repo" small); do stream_object "$repo" "oci-layer-$d"; done)
    assert_same "$before" "$after"
    GARBAGE_OK=1
    assert_cfsctl_accepts "$repo" small
    assert_cfsctl_accepts "$repo" theirs
}

# bats test_tags=asan
@test "names: short, tagged, digest, ID, ID prefix, and the store in the reference" {
    fresh xfs debian
    local id digest name
    id=$(store_image_id "$store" localhost/small:latest)
    digest=$(jq -r --arg i "$id" '.[] | select(.id == $i) | .digest' "$store/root/overlay-images/images.json")
    for name in small small:latest localhost/small containers-storage:localhost/small:latest \
        "localhost/small@$digest" "$id" "sha256:$id" "${id:0:12}"; do
        store_pull 0 "$repo" "$store" "$name" tag
    done
    run_splitfd 0 pull --repo "$repo" "containers-storage:$(store_spec "$store")localhost/small" by-spec
    assert_same "$(cfs "$ORACLE" oci compute-id small)" "$(cfs "$repo" oci compute-id by-spec)"
}

@test "without a name the tag is the reference as given" {
    fresh xfs debian
    store_pull 0 "$repo" "$store" containers-storage:localhost/small:latest
    grep -qx 'tagged   containers-storage:localhost/small:latest' <<< "$output"
    assert_cfsctl_accepts "$repo" containers-storage:localhost/small:latest
}

@test "nothing in the store is changed, and no descriptor or lock stays" {
    fresh xfs debian
    local before
    before=$(find "$store/root" -printf '%p %i %s %m %T@ %C@ %l\n' | grep -av '\.lock ' | sort | sha256sum)
    store_pull 0 "$repo" "$store" localhost/small small
    assert_same "$before" "$(find "$store/root" -printf '%p %i %s %m %T@ %C@ %l\n' | grep -av '\.lock ' | sort | sha256sum)"
    suite_podman debian "$store" -- rmi localhost/small > /dev/null
}

@test "the JSON output says what the text says" {
    fresh xfs debian
    store_pull 0 "$repo" "$store" localhost/small small -- --json
    jq -e . <<< "$output"
    assert_match "$(cfs "$ORACLE" oci inspect small --manifest | jq -r .config.digest)" "$output"
}
