#!/usr/bin/env bats
# What a pull promises besides the right repository: --no-image, one sync, threads, the same manifest
# stream each time, a repository that may not be written; and a mount that may.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    require_program taskset setpriv || return 0
    scratch_make
    store_make "$SCRATCH/store"
    mkdir -p "$SCRATCH/files/usr/lib"
    local n container
    for n in $(seq 1 30); do head -c "$((n * 2000))" /dev/urandom > "$SCRATCH/files/usr/lib/$n"; done
    container=$(suite_buildah debian "$SCRATCH/store" -- from scratch)
    suite_buildah debian "$SCRATCH/store" -- copy -q "$container" "$SCRATCH/files" / > /dev/null
    suite_buildah debian "$SCRATCH/store" -- commit -q "$container" localhost/one > /dev/null
    for n in two three four; do
        container=$(suite_buildah debian "$SCRATCH/store" -- from --pull-never localhost/one)
        head -c 5000 /dev/urandom > "$SCRATCH/$n"
        suite_buildah debian "$SCRATCH/store" -- copy -q "$container" "$SCRATCH/$n" "/usr/lib/$n" > /dev/null
        suite_buildah debian "$SCRATCH/store" -- commit -q "$container" localhost/one > /dev/null
    done
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    store=$SCRATCH/store
    repo=$SCRATCH/repo.$BATS_TEST_NUMBER
    repo_init "$repo"
}
traced() { # SYSCALLS ARGUMENT…: a pull under strace, its calls in $BATS_TEST_TMPDIR/trace
    local calls=$1
    shift
    SPLITFD_RUN="strace -f -qq ${paths:+-y} -o $BATS_TEST_TMPDIR/trace -e trace=$calls" \
        store_pull 0 "$repo" "$store" "${image:-localhost/one}" "$@"
}
# The store's files that were opened, each as often as it was: by name without following, then to be read.
opened() { # REGEX
    sed -n "s|.* = [0-9]*<\($store/root/overlay[^>]*$1\)>.*|\1|p" "$BATS_TEST_TMPDIR/trace"
}

@test "--no-image: all but the image, which a later pull adds" {
    store_pull 0 "$repo" "$store" localhost/one one -- --no-image
    refute grep -q '^image' <<< "$output"
    [ ! -d "$repo/images" ] || assert_silent ls -A "$repo/images"
    assert_same null "$(splitfd inspect --repo "$repo" one | jq .composefs_erofs)"
    assert_fsck_clean "$repo"
    assert_layers_exact "$repo" one
    mkdir -p "$SCRATCH/mnt"
    run_splitfd 3 mount --repo "$repo" one "$SCRATCH/mnt"
    assert_match "one has no EROFS image; pull it again without --no-image" "$errors"
    store_pull 0 "$repo" "$store" localhost/one one
    local image
    image=$(sed -n 's/^image *//p' <<< "$output")
    assert_same "$(cfs "$repo" oci compute-id one)" "$image"
    assert_same "\"$image\"" "$(splitfd inspect --repo "$repo" one | jq .composefs_erofs)"
    # Config and manifest are stored anew, with the image in them; their old streams are garbage.
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo" one
    # And the other way round nothing is taken away.
    store_pull 0 "$repo" "$store" localhost/one one -- --no-image
    [ -n "$(ls -A "$repo/images")" ]
}

@test "objects are on the disk before they are named, and they before the names in streams/ and images/" {
    traced syncfs,sync,fsync,fdatasync,symlinkat,renameat2 one
    cut -d' ' -f2- "$BATS_TEST_TMPDIR/trace"
    assert_same "syncfs renameat2 syncfs symlinkat syncfs" \
        "$(sed -E 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/' "$BATS_TEST_TMPDIR/trace" | grep -E '^[a-z0-9]+$' | uniq | paste -sd' ')"
}

@test "what is read: each new layer once, of a layer that is there nothing" {
    local paths=yes image container
    traced openat,openat2 one
    assert_same 4 "$(opened '[.]tar-split[.]gz' | sort -u | wc -l)"
    assert_same 33 "$(opened '/diff/.*' | sort -u | wc -l)"
    traced openat,openat2 one
    assert_silent opened '[.]tar-split[.]gz'
    assert_silent opened '/diff/.*'
    container=$(suite_buildah debian "$store" -- from --pull-never localhost/one)
    suite_buildah debian "$store" -- copy -q "$container" "$SCRATCH/two" /usr/lib/new > /dev/null
    suite_buildah debian "$store" -- commit -q "$container" localhost/new > /dev/null
    image=localhost/new traced openat,openat2 new
    assert_same 1 "$(opened '[.]tar-split[.]gz' | sort -u | wc -l)"
    assert_match '^[^ ]*/diff/usr/lib/new$' "$(opened '/diff/.*' | sort -u)"
    assert_cfsctl_accepts "$repo" new
}

@test "calls for each file: opened, examined, read, created once; no pipe, no sync, no folder for each" {
    local paths=yes trace=$BATS_TEST_TMPDIR/trace file n
    traced all one -- --jobs 2
    assert_same 66 "$(opened '/diff/.*' | wc -l)"
    for file in 1 7 two; do
        n=$(grep -cE "pread64\([0-9]+<$store/root/overlay/[^>]*/diff/usr/lib/$file>" "$trace")
        assert_same "$file 1" "$file $n"
    done
    n=$(find "$repo/objects" -type f | wc -l)
    assert_same "$n" "$(grep -cE ' openat2?\(.*/[.]splitfd-staging-.*O_CREAT' "$trace")"
    [ "$(grep -cE ' (faccessat2?|access|mkdirat)\(' "$trace")" -le $((2 * n + 12)) ]
    refute grep -qE ' (pipe2?|socketpair|fsync|fdatasync|linkat)\(' "$trace"
    # Whole directories get their names.
    assert_same "$(ls "$repo/objects" | wc -l)" "$(grep -c ' renameat2(' "$trace")"
}

@test "a stream that a name leads to is gone, of this or another writer: the next pull stores it again" {
    local name nowhere=../objects/00/$(printf '1%.0s' {1..126}) names digest
    store_pull 0 "$repo" "$store" localhost/one one
    names=$(repo_names "$repo")
    digest=$(tag_diff_ids "$repo" one | sed -n 2p)
    for name in "oci-layer-$digest" "oci-config-$(sed -n 's/^config *//p' <<< "$output")" \
        "oci-manifest-$(sed -n 's/^manifest *//p' <<< "$output")"; do
        rm "$repo/streams/$(readlink "$repo/streams/$name")"
        store_pull 0 "$repo" "$store" localhost/one one
        assert_same "$names" "$(repo_names "$repo")"
        ln -sfn "$nowhere" "$repo/streams/$name"
        store_pull 0 "$repo" "$store" localhost/one one
        assert_same "$names" "$(repo_names "$repo")"
    done
    assert_cfsctl_accepts "$repo" one
}

@test "threads: the CPUs that the process may use, or --jobs" {
    traced clone,clone3 one
    [ "$(nproc)" -lt 2 ] || grep -q 'clone' "$BATS_TEST_TMPDIR/trace"
    # The first thread may bring one of the program's runtime.
    local n threads=()
    for n in 1 2 4; do
        repo=$repo.$n
        repo_init "$repo"
        traced clone,clone3 one -- --jobs "$n"
        threads[n]=$(grep -cE 'clone3?\(' "$BATS_TEST_TMPDIR/trace" || true)
    done
    assert_same "$((threads[2] + 2))" "${threads[4]}"
    [ "${threads[1]}" -lt "${threads[2]}" ]
    repo=$repo.cpu
    repo_init "$repo"
    SPLITFD_RUN="taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[,-].*//') strace -f -qq -o $BATS_TEST_TMPDIR/trace -e trace=clone,clone3" \
        store_pull 0 "$repo" "$store" localhost/one one
    assert_same "${threads[1]}" "$(grep -cE 'clone3?\(' "$BATS_TEST_TMPDIR/trace" || true)"
}

@test "the manifest's stream is the same in every repository" {
    local verity first=
    for n in 1 2 3 4 5; do
        repo_init "$repo.$n"
        store_pull 0 "$repo.$n" "$store" localhost/one one
        verity=$(sed -n 's/^verity *//p' <<< "$output")
        [ -n "$verity" ]
        : "${first:=$verity}"
        assert_same "$first" "$verity"
    done
}

@test "a repository that this user may not write: an error, and it can be read" {
    store_pull 0 "$repo" "$store" localhost/one one
    chmod 755 "$SCRATCH" "$repo"
    local nobody="setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=$SCRATCH" before
    before=$(repo_names "$repo")
    SPLITFD_RUN=$nobody store_pull 1 "$repo" "$store" localhost/one other
    assert_match "cannot be written: Permission denied" "$errors"
    SPLITFD_RUN=$nobody run_splitfd 0 images --repo "$repo"
    SPLITFD_RUN=$nobody run_splitfd 0 fsck --repo "$repo"
    assert_same "$before" "$(repo_names "$repo")"
}

@test "mount with a writable layer: changes go there, image and repository stay" {
    local mnt=$SCRATCH/writable before
    store_pull 0 "$repo" "$store" localhost/one one
    mkdir -p "$mnt" "$SCRATCH/upper" "$SCRATCH/work"
    before=$(repo_names "$repo")
    run_splitfd 2 mount --repo "$repo" --read-write one "$mnt"
    run_splitfd 2 mount --repo "$repo" --upperdir "$SCRATCH/upper" one "$mnt"
    run_splitfd 0 mount --repo "$repo" --upperdir "$SCRATCH/upper" --workdir "$SCRATCH/work" one "$mnt"
    refute touch "$mnt/usr/new"
    run_splitfd 0 umount "$mnt"
    run_splitfd 0 mount --repo "$repo" --upperdir "$SCRATCH/upper" --workdir "$SCRATCH/work" --read-write one "$mnt"
    cmp "$mnt/usr/lib/7" "$SCRATCH/files/usr/lib/7"
    echo changed >> "$mnt/usr/lib/7"
    echo new > "$mnt/usr/new"
    rm "$mnt/usr/lib/8"
    run_splitfd 0 umount "$mnt"
    [ "$(cat "$SCRATCH/upper/usr/new")" = new ]
    assert_same "$before" "$(repo_names "$repo")"
    run_splitfd 0 fsck --repo "$repo"
    run_splitfd 0 mount --repo "$repo" one "$mnt"
    cmp "$mnt/usr/lib/7" "$SCRATCH/files/usr/lib/7"
    [ -e "$mnt/usr/lib/8" ]
    [ ! -e "$mnt/usr/new" ]
    run_splitfd 0 umount "$mnt"
}
