#!/usr/bin/env bats
# A pulled image, mounted by cfsctl and by splitfd, is the tree that podman mounts of the same image,
# up to the rules for OCI images: the root has the metadata of /usr, /run is empty, and of the xattrs
# only security.capability stays.
# bats file_tags=asan

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export STORE=$SCRATCH/x/store REPO=$SCRATCH/x/repo
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/small small
    mkdir "$SCRATCH/cfs" "$SCRATCH/ours"
    tree_of "$(suite_podman debian "$STORE" -- image mount localhost/small)" > "$SCRATCH/podman"
    suite_podman debian "$STORE" -- image unmount localhost/small > /dev/null
}
teardown_file() { scratch_drop; }

same_as_podman() { # DIR
    tree_of "$1" > "$SCRATCH/tree"
    [ "$(wc -l < "$SCRATCH/podman")" -gt 3000 ]
    diff "$SCRATCH/podman" "$SCRATCH/tree" | head -n 20
    cmp -s "$SCRATCH/podman" "$SCRATCH/tree"
    # What stat says is what is there.
    find "$1" -mindepth 1 ! -type d ! -path '*/run/*' -printf '%i %n\n' | sort | uniq -c > "$SCRATCH/links"
    [ -s "$SCRATCH/links" ]
    assert_silent awk '$1 != $3' "$SCRATCH/links"
    # The rules: what / and /run have.
    assert_same "$(stat -c '%a %u %g %y' "$1/usr")" "$(stat -c '%a %u %g %y' "$1")"
    assert_silent ls -A "$1/run"
    assert_same "$(stat -c '%y' "$1/usr")" "$(stat -c '%y' "$1/run")"
    # No other xattr than security.capability is left.
    getfattr -R -P -h -d -m '^(user|trusted|security)\.' "$1" > "$SCRATCH/xattrs" 2> /dev/null
    refute grep -vE '^(# file: .*|security\.capability=.*|)$' "$SCRATCH/xattrs"
}

@test "cfsctl's kernel mount of what splitfd pulled" {
    cfs "$REPO" oci mount --fuse no small "$SCRATCH/cfs"
    same_as_podman "$SCRATCH/cfs"
    umount "$SCRATCH/cfs"
}

@test "splitfd's own mount" {
    run_splitfd 0 mount --repo "$REPO" small "$SCRATCH/ours"
    same_as_podman "$SCRATCH/ours"
    run_splitfd 0 umount "$SCRATCH/ours"
}

# cfsctl 0.9.4 opens no empty file by FUSE, of its own pulls neither.
@test "cfsctl's FUSE mount of what splitfd pulled" {
    [ -c /dev/fuse ] || skip "kernel: no /dev/fuse"
    contents() { find . -path ./run -prune -o -type f -size +0 -print0 | xargs -0 sha256sum | LC_ALL=C sort; }
    cfs "$REPO" oci mount --fuse yes small "$SCRATCH/cfs"
    (cd "$SCRATCH/cfs" && contents) > "$SCRATCH/fuse"
    umount "$SCRATCH/cfs"
    cfs "$REPO" oci mount --fuse no small "$SCRATCH/cfs"
    (cd "$SCRATCH/cfs" && contents) > "$SCRATCH/kernel"
    umount "$SCRATCH/cfs"
    [ "$(wc -l < "$SCRATCH/fuse")" -gt 1000 ]
    cmp "$SCRATCH/kernel" "$SCRATCH/fuse"
}

@test "the image of each format and algorithm is the one that cfsctl computes" {
    local v a extra id
    for a in sha256 sha512; do
        for v in 1 2 extra; do
            repo=$SCRATCH/x/format
            rm -rf "$repo"
            "$CFSCTL" init --insecure --erofs-version "${v/extra/1}" --algorithm "fsverity-$a-12" "$repo" > /dev/null
            if [ "$v" = extra ]; then
                jq '.erofs_formats.extra = [2]' "$repo/meta.json" > "$SCRATCH/meta" && cp "$SCRATCH/meta" "$repo/meta.json"
            fi
            store_pull 0 "$repo" "$STORE" localhost/small small
            id=$(cfs "$repo" oci compute-id small)
            assert_same "image    $id" "$(grep '^image' <<< "$output")"
            assert_same "$id" "$(cfs "$repo" oci inspect small | jq -r .composefs_erofs)"
            [ -L "$repo/images/$id" ]
            [ "$v" != extra ] || [ -L "$repo/images/$(cfs "$repo" --hash $a --erofs-version 2 oci compute-id small)" ]
            assert_fsck_clean "$repo"
        done
    done
}

@test "a repository of format 0, into which cfsctl cannot pull: the image that it looks for, now and again" {
    repo=$SCRATCH/x/format
    rm -rf "$repo"
    "$CFSCTL" init --insecure --erofs-version 0 "$repo" > /dev/null
    for again in no yes; do
        store_pull 0 "$repo" "$STORE" localhost/small small
        assert_same "image    $(cfs "$repo" --hash sha512 --erofs-version 1 oci compute-id small)" \
            "$(grep '^image' <<< "$output")"
        assert_same "$(sed -n 's/^image *//p' <<< "$output")" "$(cfs "$repo" oci inspect small | jq -r .composefs_erofs)"
    done
    assert_fsck_clean "$repo"
}

@test "fsck.erofs accepts the pulled image; the boot variant is refused and leaves nothing" {
    local image before
    image=$(find "$REPO/images" -type l ! -path '*/refs/*')
    assert_same 1 "$(wc -l <<< "$image")"
    fsck.erofs "$image" > "$SCRATCH/fsck" 2>&1 || { cat "$SCRATCH/fsck"; return 1; }
    before=$(repo_names "$REPO")
    store_pull 4 "$REPO" "$STORE" localhost/small boot -- --bootable
    assert_match 'boot variant is not supported' "$errors"
    assert_same "$before" "$(repo_names "$REPO")"
}
