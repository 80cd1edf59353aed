#!/usr/bin/env bats
# podman removes an image while it is pulled: whatever the reader holds then, the reason is the removal.
# strace stops the reader at one of its system calls (SIGSTOP), podman rmi runs from its start to its
# end, and the reader goes on.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() {
    require_interop || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 2G
    export GOLDEN=$SCRATCH/x/golden VFS=$SCRATCH/x/golden-vfs
    store_make "$GOLDEN"
    store=$GOLDEN make_image
    unmount_below "$GOLDEN"
    store_make "$VFS"
    skopeo copy --quiet "containers-storage:$(store_spec "$GOLDEN")localhost/three" \
        "containers-storage:$(store_spec "$VFS" vfs)localhost/three"
    unmount_below "$GOLDEN"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    store=$SCRATCH/x/s repo=$SCRATCH/x/r
}
teardown() {
    [ -z "${reader:-}" ] || kill -KILL "$reader" 2> /dev/null || true
    [ -z "${store:-}" ] || { unmount_below "$store"; rm -rf "$store" "$repo"; }
}

# Three layers: small files, large ones with hard links, small ones again.
make_image() {
    local bud="buildah --root $store/root --runroot $store/run --storage-driver overlay" base=scratch n c m i
    for n in 1 2 3; do
        c=$($bud from --pull-never $base) && m=$($bud mount "$c")
        mkdir -p "$m/usr/$n/deep/er"
        for i in $(seq 1 40); do head -c $((100 * i)) /dev/urandom > "$m/usr/$n/deep/er/$i"; done
        [ $n -ne 2 ] || for i in a b; do
            head -c 3000000 /dev/urandom > "$m/usr/$i" && ln "$m/usr/$i" "$m/usr/$n/deep/link-$i"
        done
        $bud umount "$c" > /dev/null && base=localhost/three
        $bud commit --quiet "$c" $base > /dev/null && $bud rm "$c" > /dev/null
    done
}

# stop_at COMMAND…: starts it until its reader, which $LIB/stop-at runs, is stopped; the reader in
# $reader. False where it ended before.
stop_at() {
    rm -f "$BATS_TEST_TMPDIR/pid"
    "$@" > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/errors" < /dev/null 3>&- &
    job=$!
    local still=0
    for _ in $(seq 1 2400); do
        reader=$(cat "$BATS_TEST_TMPDIR/pid" 2> /dev/null || true)
        kill -0 "$job" 2> /dev/null || return 1
        # At any system call it stops for strace, too, but not for long.
        is_stopped && still=$((still + 1)) || still=0
        [ $still -lt 4 ] || return 0
        sleep 0.025
    done
    echo "it never stopped"
    return 1
}
is_stopped() { [ -n "$reader" ] && [ "$(ps -o stat= -L -p "$reader" | grep -vc '^[Tt]')" -eq 0 ]; }
# Also where strace lets it stop only now. Its code in $code.
resume() {
    code=0
    while kill -0 "$reader" 2> /dev/null; do
        kill -CONT "$reader" 2> /dev/null || true
        sleep 0.1
        is_stopped || break
    done
    wait "$job" || code=$?
    reader=
}
reader_at() { # CALLS N ARGUMENT…: words for stop_at
    at=("$LIB/stop-at" "$BATS_TEST_TMPDIR/pid" "$1" "$2" "$BUILD/splitfd" "${@:3}")
}
fresh() { # GOLDEN DRIVER
    unmount_below "$store"
    rm -rf "$store" "$repo"
    cp -a --reflink=always "$1" "$store"
    repo_init "$repo"
    driver=$2
    from=(--root "$store/root" --runroot "$store/run" --storage-driver "$driver")
}
remove() { # SUITE
    timeout 60 bash -c '. "$1/common.bash"; . "$1/store.bash"; suite_podman "$2" "$3" "$4" -- rmi localhost/three' \
        - "$LIB" "$1" "$store" "$driver" > /dev/null 3>&-
}
# The reader goes on after the image is gone: the whole layer, or the true reason.
go_on() { # WHAT
    local text
    resume
    text=$(grep -v '^wire-pipe:' "$BATS_TEST_TMPDIR/errors") || true
    echo "$* -> $code: $text"
    assert_fsck_clean "$repo" || return 1
    [ $code -ne 0 ] || return 0
    hit=$((hit + 1))
    assert_same 3 "$code" && assert_same 1 "$(wc -l <<< "$text")" && assert_nothing_visible "$repo" &&
        assert_match 'the layer was removed while it was read|removed from the store meanwhile' "$text"
}

# The stopped reader has a lock of the store.
has_lock() {
    find "$store/root" -name '*.lock' -printf ':%i \n' | grep -qFf - <(grep OFDLCK /proc/locks)
}

# removed_at SUITE CALL N [OPTION…], of the store that fresh has made
removed_at() {
    local suite=$1 call=$2 n=$3
    shift 3
    # podman would wait for one that is stopped while it has a lock, which lasts for milliseconds else.
    while :; do
        reader_at "$call" "$n" pull --repo "$repo" "${from[@]}" --jobs 1 "$@" localhost/three
        stop_at "${at[@]}" || { echo "$call $n: it ended before"; return 1; }
        has_lock || break
        kill -KILL "$reader"
        wait "$job" || true
        n=$((n + 5))
    done
    remove "$suite"
    go_on "$suite $driver $call $n $*"
}
# Any file, directory or record may be the next that it looks at.
at_many_calls() { # SUITE GOLDEN DRIVER
    local n hit=0
    for n in 50 140; do fresh "$2" "$3" && removed_at "$1" openat2 $n; done
    for n in 10 70; do fresh "$2" "$3" && removed_at "$1" ioctl $n; done
    fresh "$2" "$3" && removed_at "$1" pread64 15 --reflink=never
    fresh "$2" "$3" && removed_at "$1" pread64 100 --verify-diffid --no-sandbox
    [ "$hit" -ge 4 ]
}

@test "podman rmi, while a pull is at any of its calls" { at_many_calls debian "$GOLDEN" overlay; }
@test "the same of vfs" { at_many_calls debian "$VFS" vfs; }
@test "the same by the newer suite's podman, which moves a layer away before it deletes it" {
    require_newer
    at_many_calls newer "$GOLDEN" overlay
}

@test "podman rmi, while get-layer's files are taken by import-layer" {
    local n hit=0 format id
    for format in splitfdstream splitdirfdstream; do
        for n in 3 12; do
            fresh "$GOLDEN" overlay
            id=$(store_diff_ids "$store" localhost/three:latest | sed -n 2p)
            reader_at ioctl $n import-layer --format=$format --fds=@FDS@ --repo "$repo" "$id"
            stop_at "$LIB/wire-pipe.py" "$BUILD/splitfd" get-layer --format=$format --fds=@FDS@ "${from[@]}" \
                localhost/three "$id" -- "${at[@]}"
            remove debian
            go_on "$format $n"
        done
    done
    # Whose files came as descriptors has them all.
    [ "$hit" -ge 2 ]
}

@test "podman rmi, while get-layer reads: its reader gets half a layer and no more" {
    local n hit=0 format id
    for format in splitfdstream tar; do
        for n in 30 45; do
            fresh "$GOLDEN" overlay
            id=$(store_diff_ids "$store" localhost/three:latest | sed -n 2p)
            reader_at openat2 $n get-layer --format=$format --inline-max=10000000 "${from[@]}" localhost/three "$id"
            [ $format != tar ] || reader_at openat2 $n get-layer --format=tar "${from[@]}" localhost/three "$id"
            stop_at "${at[@]}"
            remove debian
            go_on "get-layer $format $n"
        done
    done
    [ "$hit" -eq 4 ]
}

@test "podman rmi, while a blob is sent to a client of the proxy" {
    fresh "$GOLDEN" overlay
    python3 "$LIB/proxy-removed.py" "$BUILD/splitfd" "$store" \
        podman --root "$store/root" --runroot "$store/run" --storage-driver overlay rmi localhost/three 3>&-
}

@test "what changes a file, or takes one away, is no removal" {
    local id name how n other changed=0
    fresh "$GOLDEN" overlay
    strace -f -o "$BATS_TEST_TMPDIR/calls" -e trace=pread64 "$BUILD/splitfd" pull --repo "$repo" "${from[@]}" \
        --jobs 1 localhost/three > /dev/null 3>&-
    # The second piece of the first large file.
    n=$(awk '{ n[$1]++ } / [0-9]+, 1048576\) *= [0-9]/ { print n[$1]; exit }' "$BATS_TEST_TMPDIR/calls")
    for how in 'echo x >> %' 'rm %' 'cp % %.new && mv %.new %' 'touch %' 'chmod 4711 %' 'mv % %.elsewhere' \
        ': > %' 'ln % %.other'; do
        fresh "$GOLDEN" overlay
        id=$(store_layer_ids "$store" "$(store_diff_ids "$store" localhost/three:latest | sed -n 2p)")
        name=$store/root/overlay/$id/diff/usr/2/deep/link-a
        reader_at pread64 "$n" pull --repo "$repo" "${from[@]}" --jobs 1 localhost/three
        stop_at "${at[@]}"
        rm "$store/root/overlay/$id/diff/usr/a"
        # A writer waits for the reader's lease.
        (eval "${how//%/$name}") 3>&- &
        other=$!
        sleep 0.2
        resume
        wait "$other"
        echo "$how -> $code: $(cat "$BATS_TEST_TMPDIR/errors")"
        assert_fsck_clean "$repo"
        # What is already open is still the layer's content, if only its name went.
        [ "$code" -ne 0 ] || continue
        changed=$((changed + 1))
        assert_same 4 "$code"
        assert_match 'changed|deleted or replaced|shorter|CRC-64' "$(cat "$BATS_TEST_TMPDIR/errors")"
        assert_nothing_visible "$repo"
    done
    [ "$changed" -ge 1 ]
}
