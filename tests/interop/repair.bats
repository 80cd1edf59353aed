#!/usr/bin/env bats
# Repositories with holes, of whatever origin: the next pull finds them and makes them whole.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() {
    damage_setup_file
    [ -z "${SKIP_ALL:-}" ] || return 0
    export WHOLE=$SCRATCH/x/whole
    repo_init "$WHOLE"
    store_pull 0 "$WHOLE" "$GOLDEN" localhost/small small
}
teardown_file() { scratch_drop; }
# A whole repository in $repo, whose damage is the test's.
setup() {
    damage_setup
    rm -rf "$repo"
    cp -a --reflink=always "$WHOLE" "$repo"
}
teardown() { damage_teardown; }

pull_again() { # [OPTION…]
    SPLITFD_STDERR_OK=1 store_pull 0 "$repo" "$store" localhost/small small -- "$@"
}
is_whole_again() {
    assert_cfsctl_accepts "$repo" small || return 1
    assert_same "$(repo_names "$WHOLE")" "$(repo_names "$repo")"
}
# The path of the N-th object that a file of the middle layer became.
file_object() { # N
    cfs "$repo" oci layer "$(tag_diff_ids "$repo" small | sed -n 2p)" --dumpfile |
        grep -aoE '[0-9a-f]{2}/[0-9a-f]{126}' | sort -u | sed -n "$1p" | sed "s|^|$repo/objects/|"
}
link_object() { echo "$repo/streams/$(readlink "$1")"; } # LINK in streams/ or images/

@test "file objects that are gone, empty, cut, or no files at all" {
    local n o
    for n in 1 2 3 4 5 6; do
        o=$(file_object $n)
        [ -s "$o" ]
        case $n in
        1) rm "$o" ;;
        2) : > "$o" ;;
        3) truncate -s -1 "$o" ;;
        4) rm "$o" && mkdir -p "$o/x" ;;
        5) rm "$o" && mkfifo "$o" ;;
        6) rm "$o" && ln -s /etc/passwd "$o" ;;
        esac
        run_splitfd 1 fsck --repo "$repo"
        pull_again
        [ $n -eq 1 ] || assert_match 'damaged objects of the repository that were replaced: 1' "$errors"
        is_whole_again || { echo "case $n"; return 1; }
    done
}

@test "streams, config, manifest, EROFS image: gone, empty, of the right size but zeros" {
    local name object size how
    for name in "$repo"/streams/oci-layer-* "$repo"/streams/oci-config-* "$repo"/streams/oci-manifest-* "$repo"/images/*; do
        [ -L "$name" ] || continue
        object=$(realpath "$name")
        size=$(stat -c %s "$object")
        for how in gone empty zeros; do
            case $how in
            gone) rm "$object" ;;
            empty) : > "$object" ;;
            zeros) : > "$object" && truncate -s "$size" "$object" ;;
            esac
            pull_again
            is_whole_again || { echo "${name##*/} $how"; return 1; }
        done
    done
}

@test "the JSON of config and manifest" {
    local object found=0
    for object in $(find "$repo/objects" -type f -size -4); do
        [ "$(head -c 1 "$object")" = '{' ] || continue
        found=$((found + 1))
        : > "$object"
    done
    [ $found -ge 2 ]
    pull_again
    is_whole_again
}

@test "names that are gone" {
    rm "$repo"/streams/oci-layer-* "$repo"/streams/oci-config-*
    pull_again
    is_whole_again
}

@test "a repository of cfsctl's with a hole in a layer: the layer's stream stays as it is" {
    local o before
    rm -rf "$repo"
    "$CFSCTL" --repo "$repo" init --insecure > /dev/null
    cfs "$repo" oci pull "oci:$SMALL" small > /dev/null
    before=$(readlink "$repo"/streams/oci-layer-*)
    o=$(file_object 3)
    : > "$o"
    pull_again
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo" small
    assert_same "$before" "$(readlink "$repo"/streams/oci-layer-*)"
}

@test "a stream by another libzstd is lost: it is made anew, and every tag that refers to it follows" {
    local program layer
    require_newer
    program=$("$LIB/newer-build")
    rm -rf "$repo"
    repo_init "$repo"
    "$LIB/newer" "$program" pull --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/small first
    # A second image on the same layers: another config, another manifest.
    printf 'FROM localhost/small\nLABEL other=1\n' > "$BATS_TEST_TMPDIR/Containerfile"
    suite_buildah debian "$store" -- bud --quiet --pull-never -t localhost/other -f "$BATS_TEST_TMPDIR/Containerfile" \
        "$BATS_TEST_TMPDIR" > /dev/null
    "$LIB/newer" "$program" pull --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/other second
    layer=$(tag_diff_ids "$repo" first | sed -n 1p)
    : > "$(realpath "$repo/streams/oci-layer-$layer")"
    pull_again
    for tag in small first second; do
        GARBAGE_OK=1 assert_cfsctl_accepts "$repo" $tag || { echo "tag $tag"; return 1; }
    done
    run_splitfd 0 fsck --repo "$repo"
    # The other way round.
    : > "$(realpath "$repo/streams/oci-layer-$layer")"
    "$LIB/newer" "$program" pull --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/other second
    for tag in small first second; do
        GARBAGE_OK=1 assert_cfsctl_accepts "$repo" $tag || { echo "tag $tag"; return 1; }
    done
    run_splitfd 0 fsck --repo "$repo"
}

@test "fsck says how to repair; fsck --repair replaces what has the right size and the wrong content" {
    local n o
    for n in 2 5; do
        o=$(file_object $n)
        head -c "$(stat -c %s "$o")" /dev/zero > "$o"
    done
    pull_again
    run_splitfd 1 fsck --repo "$repo"
    assert_match 'object-digest-mismatch' "$output"
    assert_match 'splitfd fsck --repair IMAGE' "$errors"
    SPLITFD_STDERR_OK=1 run_splitfd 0 fsck --repair --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/small
    assert_match 'read again: localhost/small, 2 damaged and 0 missing' "$output"
    is_whole_again
    run_splitfd 0 fsck --repair --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/small
    is_whole_again
}

@test "fsck --repair: an image that is not there, no image, metadata only" {
    run_splitfd 3 fsck --repair --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/none
    assert_match "localhost/none" "$errors"
    run_splitfd 2 fsck --repair --repo "$repo"
    run_splitfd 2 fsck --repair --metadata-only --repo "$repo" localhost/small
    run_splitfd 2 fsck --repo "$repo" one two
    is_whole_again
}

@test "what a killed pull left is removed by the next writer, not by a reader" {
    mkdir -p "$repo/.splitfd-staging-aaaaaaaaaaaa/0/ab"
    : > "$repo/.splitfd-staging-aaaaaaaaaaaa/0/ab/cd"
    run_splitfd 0 images --repo "$repo"
    [ -d "$repo/.splitfd-staging-aaaaaaaaaaaa" ]
    assert_fsck_clean "$repo"
    store_pull 0 "$repo" "$store" localhost/small small
    [ ! -e "$repo/.splitfd-staging-aaaaaaaaaaaa" ]
    is_whole_again
}

# ext4 keeps a long target in a block of its own, which a failing disk can lose: readlink(2) gives "".
@test "links without a target, as ext4 has them where the disk failed" {
    local fs=$SCRATCH/ext4 link block
    require_program debugfs
    fs_make ext4 "$fs" 1G
    cp -a "$WHOLE" "$fs/repo"
    for link in $(repo_visible "$fs/repo"); do
        block=$(debugfs -R "blocks /repo/$link" "$fs.img" 2> /dev/null)
        [ -n "${block// /}" ] || { umount "$fs" && mount -o loop "$fs.img" "$fs" &&
            block=$(debugfs -R "blocks /repo/$link" "$fs.img" 2> /dev/null); }
        echo "${block// /}" >> "$BATS_TEST_TMPDIR/blocks"
    done
    umount "$fs"
    while read -r block; do
        [ -z "$block" ] || dd if=/dev/zero of="$fs.img" bs=4096 seek="$block" count=1 conv=notrunc status=none
    done < "$BATS_TEST_TMPDIR/blocks"
    mount -o loop "$fs.img" "$fs"
    [ "$(find "$fs/repo/streams" "$fs/repo/images" -type l -lname '' | wc -l)" -ge 3 ]
    run_splitfd 1 fsck --repo "$fs/repo"
    SPLITFD_STDERR_OK=1 store_pull 0 "$fs/repo" "$store" localhost/small small
    assert_cfsctl_accepts "$fs/repo" small
    assert_same "$(repo_names "$WHOLE")" "$(repo_names "$fs/repo")"
    fs_drop "$fs"
}

# btrfs says EIO of such a link.
@test "links that cannot be read, or are no links, are made again" {
    local name inject=$BUILD/tests/fault/inject report=$BATS_TEST_TMPDIR/report n i failed=0
    ln -sfn nowhere "$repo/streams/$(cd "$repo/streams" && echo oci-layer-* | cut -d' ' -f1)"
    for name in "$repo"/streams/oci-config-* "$repo"/streams/oci-manifest-* "$repo"/images/*; do
        [ -L "$name" ] || continue
        rm "$name"
        echo "no link" > "$name"
    done
    pull_again
    is_whole_again
    set -- "$BUILD/splitfd" pull --repo "$repo" --root "$store/root" --runroot "$store/run" --storage-driver overlay \
        localhost/small small
    "$inject" --report "$report" --count --calls readlinkat -- "$@" > /dev/null
    n=$(sed -n 's/^calls //p' "$report")
    [ "$n" -ge 4 ]
    for i in $(seq "$n"); do
        # Only where the link was read a moment ago an error is one of the disk.
        "$inject" --report "$report" --calls readlinkat --at "$i" --action errno:EIO -- "$@" 2> "$BATS_TEST_TMPDIR/err" ||
            { failed=$((failed + 1)) && assert_match 'streams/oci-layer.*Input/output error' "$(cat "$BATS_TEST_TMPDIR/err")"; }
        is_whole_again
    done
    [ "$failed" -le 3 ]
}
