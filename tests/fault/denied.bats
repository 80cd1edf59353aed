#!/usr/bin/env bats
# What the system denies is an error of the system: nothing is "not there", "damaged" or "refused" for it.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

setup_file() {
    require_root && require_program skopeo python3 jq || return 0
    scratch_make
    export REPO=$SCRATCH/repo STORE=$SCRATCH/store
    "$SPLITFD_TOP/tests/fault/tiny-image.py" "$SCRATCH/tars"
    python3 "$LIB/make-layout.py" "$SCRATCH/layout" tiny "gzip:$SCRATCH/tars/0.tar" "plain:$SCRATCH/tars/2.tar" > /dev/null
    store_load debian "$SCRATCH/layout:tiny" "$STORE" localhost/tiny
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/tiny tiny
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
    inject=$BUILD/tests/fault/inject report=$BATS_TEST_TMPDIR/report
}
teardown() { stop_services; }

count() { # CALL ARGUMENT…: how often a command makes a call
    local call=$1
    shift
    "$inject" --report "$report" --count --calls "$call" -- "$BUILD/splitfd" "$@" > "$BATS_TEST_TMPDIR/undisturbed"
    sed -n 's/^calls //p' "$report"
}

# Each of them once: never the list of an undisturbed run without what could not be read.
never_shorter() { # CALL ERRNO TEXT ARGUMENT…
    local call=$1 errno=$2 text=$3 n i code
    shift 3
    n=$(count "$call" "$@")
    [ "$n" -ge 3 ]
    for i in $(seq "$n"); do
        code=0
        "$inject" --report "$report" --calls "$call" --at "$i" --action "errno:$errno" -- "$BUILD/splitfd" "$@" \
            > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err" < /dev/null || code=$?
        if [ "$code" -eq 0 ]; then
            cmp "$BATS_TEST_TMPDIR/undisturbed" "$BATS_TEST_TMPDIR/out" || return 1
        else
            assert_same 1 "$code"
            assert_match "$text" "$(cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err")"
        fi
    done
}

@test "images: no image is missing from the list because it could not be read" {
    never_shorter openat2 EIO 'Input/output error' images --repo "$REPO"
    never_shorter pread64 EIO 'Input/output error' images --repo "$REPO"
    never_shorter openat2 EMFILE 'Too many open files' images --repo "$REPO"
}

@test "fsck: no layer is passed over because its name could not be read" {
    never_shorter readlinkat EIO 'Input/output error' fsck --repo "$REPO"
}

@test "an object that cannot be looked for is not missing" {
    local layer
    layer=$("$BUILD/splitfd" layers --repo "$REPO" --json tiny | jq -r '.layers[0].diffId')
    never_shorter newfstatat EACCES 'Permission denied' fsck --repo "$REPO"
    never_shorter newfstatat ENOMEM 'Cannot allocate memory' get-layer --format=tar --repo "$REPO" composefs:tiny "$layer"
}

@test "a service that has no room: push fails with 1, nothing was refused" {
    local n i code socket=$BATS_TEST_TMPDIR/s
    repo_init "$BATS_TEST_TMPDIR/theirs"
    for i in 1 2 3; do
        background "$socket" "$inject" --report "$report" --calls mkdirat --at "$i" --action errno:ENOSPC -- \
            "$BUILD/splitfd" serve --repo "$BATS_TEST_TMPDIR/theirs" --socket "$socket"
        run_splitfd 1 push --quiet --to "$socket" --repo "$BATS_TEST_TMPDIR/theirs" --root "$STORE/root" \
            --runroot "$STORE/run" --storage-driver overlay localhost/tiny tiny
        assert_match 'No space left on device' "$errors"
        kill "$(cat "/proc/${pids[0]}/task/${pids[0]}/children")"
        wait "${pids[0]}" || true
        pids=()
        rm -f "$socket"
    done
}

@test "a layer of a service that cannot be read is not missing there" {
    local n i socket=$BATS_TEST_TMPDIR/s
    for i in 10 20 30; do
        background "$socket" "$inject" --report "$report" --calls pread64 --at "$i" --action errno:EIO -- \
            "$BUILD/splitfd" serve --repo "$REPO" --socket "$socket"
        run_splitfd '0|1' push --quiet --to "$socket" --repo "$REPO" --root "$STORE/root" --runroot "$STORE/run" \
            --storage-driver overlay localhost/tiny tiny
        kill "$(cat "/proc/${pids[0]}/task/${pids[0]}/children")"
        wait "${pids[0]}" || true
        pids=()
        rm -f "$socket"
    done
}
