#!/usr/bin/env bats
# Repositories that cannot be written: refused before anything is done.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() { damage_setup_file; }
teardown_file() { scratch_drop; }
setup() { damage_setup; }
teardown() { damage_teardown; }

refused() { # CODE REGEX
    store_pull "$1" "$repo" "$store" localhost/small small
    assert_one_error "$2"
    [ ! -e "$repo/streams" ] && [ ! -e "$repo/images" ]
}

@test "the repository is not there" {
    rm -rf "$repo"
    refused 3 "$repo"
    [ ! -e "$repo" ]
}

@test "a folder that is no repository: says how to make one" {
    rm -rf "$repo" && mkdir "$repo"
    refused 3 'splitfd init'
    assert_silent ls -A "$repo"
}

@test "a repository of a newer version" {
    edit_json "$repo/meta.json" '.version = 2'
    refused 4 'version 2'
}

@test "an unknown incompatible feature" {
    edit_json "$repo/meta.json" '.features.incompatible = ["from-the-future"]'
    refused 4 'from-the-future'
}

@test "an unknown read-only-compatible feature forbids writing, not reading" {
    edit_json "$repo/meta.json" '.features["read-only-compatible"] += ["from-the-future"]'
    refused 4 'from-the-future'
    run_splitfd 0 images --repo "$repo"
}

@test "an unknown compatible feature and unknown keys do not matter" {
    edit_json "$repo/meta.json" '.features.compatible = ["from-the-future"] | .other = 1'
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "an unknown algorithm, and a meta.json that is no JSON" {
    edit_json "$repo/meta.json" '.algorithm = "fsverity-sha3-12"'
    refused 4 'fsverity-sha3-12'
    echo 'nothing' > "$repo/meta.json"
    refused 4 'meta.json'
    "$CFSCTL" --repo "$repo" init --reset-metadata --insecure > /dev/null
    echo '}' >> "$repo/meta.json"
    refute cfs "$repo" oci images > /dev/null 2>&1
    refused 4 'meta.json'
}

@test "a folder of names cannot be made: no name in the others is" {
    local file
    for file in images streams/refs streams/refs/oci; do
        mkdir -p "$(dirname "$repo/$file")"
        touch "$repo/$file"
        store_pull 1 "$repo" "$store" localhost/small small
        assert_one_error "$file.*Not a directory"
        assert_same "$file" "$(repo_visible "$repo")"
        rm "$repo/$file"
    done
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "a repository on a file system mounted read-only" {
    mkdir -p "$SCRATCH/ro"
    mount --bind "$repo" "$SCRATCH/ro"
    mount -o remount,bind,ro "$SCRATCH/ro"
    store_pull '1|4' "$SCRATCH/ro" "$store" localhost/small small
    assert_one_error 'ead-only'
    umount "$SCRATCH/ro"
    assert_nothing_visible "$repo"
}

@test "a store on a file system mounted read-only works" {
    mkdir -p "$SCRATCH/ros"
    mount --bind "$store" "$SCRATCH/ros"
    mount -o remount,bind,ro "$SCRATCH/ros"
    store_pull 0 "$repo" "$SCRATCH/ros" localhost/small small
    umount "$SCRATCH/ros"
    assert_cfsctl_accepts "$repo" small
}

leave_room() { # DIR BYTES
    sync -f "$1"
    dd if=/dev/zero of="$1/filler" bs=64k status=none 2> /dev/null || true
    sync -f "$1"
    truncate -s "-$2" "$1/filler"
    sync -f "$1"
}

@test "the disk is full in the middle: an error, nothing visible; with room again the pull works" {
    fs_make ext4 "$SCRATCH/full" 1G
    repo_init "$SCRATCH/full/r"
    leave_room "$SCRATCH/full" 30000000
    store_pull 1 "$SCRATCH/full/r" "$store" localhost/small small
    assert_one_error 'No space left'
    assert_nothing_visible "$SCRATCH/full/r"
    cfs "$SCRATCH/full/r" fsck > /dev/null
    rm "$SCRATCH/full/filler"
    store_pull 0 "$SCRATCH/full/r" "$store" localhost/small small
    assert_fsck_clean "$SCRATCH/full/r"
    assert_layers_exact "$SCRATCH/full/r" small
    fs_drop "$SCRATCH/full"
}

@test "the disk is full in the middle of clones, on XFS" {
    fs_make xfs "$SCRATCH/fullx" 320M
    local tight=$SCRATCH/fullx
    store_load debian "$SMALL" "$tight/s" localhost/small
    repo_init "$tight/r"
    leave_room "$tight" 300000
    store_pull 1 "$tight/r" "$tight/s" localhost/small small
    assert_one_error 'No space left'
    assert_nothing_visible "$tight/r"
    rm "$tight/filler"
    store_pull 0 "$tight/r" "$tight/s" localhost/small small
    assert_layers_exact "$tight/r" small
    fs_drop "$tight"
}
