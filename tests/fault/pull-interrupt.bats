#!/usr/bin/env bats
# Pulls that are ended in their middle: nothing can be seen, and the next pull gives the same result.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage
load ../lib/slow

setup_file() {
    damage_setup_file
    [ -z "${SKIP_ALL:-}" ] || return 0
    export WHOLE=$SCRATCH/x/whole
    repo_init "$WHOLE"
    store_pull 0 "$WHOLE" "$GOLDEN" localhost/small small
}
teardown_file() { scratch_drop; }
setup() { damage_setup; }
teardown() {
    slow_kill
    damage_teardown
}

pull_arguments() { echo pull --repo "$repo" --root "$store/root" --runroot "$store/run" localhost/small small; }

end_in_the_middle() { # SIGNAL OBJECTS
    slow_start 20000 $(pull_arguments)
    slow_wait_objects "$repo" "$2"
    kill -"$1" "$slow"
    SECONDS=0
    slow_end
    [ "$slow_code" -ne 0 ]
    [ "$SECONDS" -le 10 ]
    assert_nothing_visible "$repo"
    assert_fsck_clean "$repo"
}
next_pull_is_right() {
    store_pull 0 "$repo" "$store" localhost/small small
    cfs "$repo" gc > /dev/null
    assert_same "$(repo_names "$WHOLE")" "$(repo_names "$repo")"
    assert_silent find "$repo" -mindepth 1 -name '.*'
}

@test "SIGINT: an error that says so, then the next pull is right" {
    end_in_the_middle INT 300
    assert_match 'nterrupt|signal' "$(cat "$BATS_TEST_TMPDIR/slow.err")"
    # What was done is not done again, and nothing else is left.
    [ "$(find "$repo/objects" -type f | wc -l)" -ge 300 ]
    assert_silent find "$repo" -name '.splitfd-*'
    next_pull_is_right
    [ "$(objects_number present)" -ge 300 ]
}

@test "SIGTERM" {
    end_in_the_middle TERM 300
    assert_match 'nterrupt|signal' "$(cat "$BATS_TEST_TMPDIR/slow.err")"
    next_pull_is_right
}

@test "SIGKILL, early, in the middle and late" {
    local n
    for n in 1 700 1700; do
        end_in_the_middle KILL $n
        assert_match '^(137)$' "$slow_code"
    done
    next_pull_is_right
}

@test "SIGKILL at each of the last steps: renames, links and syncs" {
    local step call
    for step in renameat2:1 renameat2:3 renameat2:200 symlinkat:1 symlinkat:3 syncfs:1 syncfs:2 syncfs:3; do
        call=${step%:*}
        rm -rf "$repo" && repo_init "$repo"
        strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=${step#*:}+ \
            "$BUILD/splitfd" $(pull_arguments) > /dev/null 2>&1 < /dev/null 3>&- || true
        assert_fsck_clean "$repo"
        store_pull 0 "$repo" "$store" localhost/small small
        assert_cfsctl_accepts "$repo" small || { echo "after SIGKILL in $call"; return 1; }
    done
}

# Every system call that carries the work fails once: with an error the pull ends in one sentence and
# nothing is visible; where the errno means "not here", it goes on and the result is right.
fails_with() { # CALL ERRNO WHEN [EXPRESSION]
    rm -rf "$repo" && repo_init "$repo"
    local got=0
    errors=$(timeout 120 strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:error=$2:when=$3" \
        "$BUILD/splitfd" $(pull_arguments) 2>&1 > "$BATS_TEST_TMPDIR/out" < /dev/null 3>&-) || got=$?
    output=$(cat "$BATS_TEST_TMPDIR/out")
    echo "$1 $2 $3 -> $got: $errors"
    [ $got -ne 124 ] && [ $got -lt 128 ] || return 1
    # The lines printed at the end are no part of the pull: it is whole, only the report was lost.
    if [ $got -eq 0 ] || [[ "$errors" == *"standard output"* ]]; then
        assert_fsck_clean "$repo" && assert_layers_exact "$repo" small
    else
        [ -n "$errors" ] && cfs "$repo" fsck > /dev/null && assert_nothing_visible "$repo"
    fi || return 1
    result=$got
}

@test "FICLONE: EIO, ENOSPC, EPERM and EDQUOT are errors, never a copy" {
    local e
    for e in EIO ENOSPC EPERM EDQUOT; do
        fails_with ioctl $e 200
        [ "$result" -eq 1 ]
    done
}

@test "FICLONE: EXDEV and EOPNOTSUPP mean copy, and the numbers say so" {
    local e
    for e in EXDEV EOPNOTSUPP; do
        # The first ones of the main thread ask for fs-verity; each thread counts its own.
        fails_with ioctl $e 5+
        [ "$result" -eq 0 ]
        [ "$(objects_number reflinked)" -lt 50 ]
        [ "$(objects_number copied)" -gt 1000 ]
        assert_same_streams content "$repo" small "$WHOLE"
    done
}

@test "symlinkat, renameat2, openat2, syncfs and write fail with EIO or ENOSPC" {
    local call
    fails_with syncfs EIO 1
    [ "$result" -eq 1 ]
    for call in symlinkat openat2 fstat newfstatat statx pwrite64 write writev mkdirat renameat2; do
        fails_with $call EIO 3
        fails_with $call ENOSPC 7
    done
}

@test "openat, read and mmap fail at some time with ENOMEM or EMFILE" {
    local n
    for n in 30 60 100 150 200 400; do
        fails_with openat EMFILE $n
        fails_with openat2 ENFILE $n
        fails_with read EIO $n
        fails_with pread64 EIO $n
        # A sanitizer does not survive it.
        [ -n "${SANITIZED:-}" ] || fails_with mmap ENOMEM $n
    done
}

@test "no openat2 and no statx: a clear error or a right result" {
    fails_with openat2 ENOSYS 1+
    fails_with statx ENOSYS 1+
    fails_with copy_file_range ENOSYS 1+
}
