#!/usr/bin/env bats
# The table of kernel features in contrib/HACKING.md: what a pull does where the kernel refuses a call that it has not.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    export STORE=$SCRATCH/store WHOLE=$SCRATCH/whole
    "$SPLITFD_TOP/tests/fault/tiny-image.py" "$SCRATCH/tars"
    python3 "$LIB/make-layout.py" "$SCRATCH/layout" tiny "gzip:$SCRATCH/tars/0.tar" "plain:$SCRATCH/tars/2.tar" > /dev/null
    store_load debian "$SCRATCH/layout:tiny" "$STORE" localhost/tiny
    unmount_below "$STORE"
    repo_init "$WHOLE"
    store_pull 0 "$WHOLE" "$STORE" localhost/tiny tiny
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$SCRATCH/repo
    rm -rf "$repo"
    repo_init "$repo"
}

# Every call of this kind fails: refused CODE CALL ERRNO. It was met.
refused() {
    local report=$BATS_TEST_TMPDIR/report
    SPLITFD_RUN="$BUILD/tests/fault/inject --report $report --calls $2 --at 1+ --action errno:$3 --" \
        store_pull "$1" "$repo" "$STORE" localhost/tiny tiny
    grep -q '^injected' "$report"
}
as_with_it() {
    refused 0 "$@"
    assert_same "$(repo_names "$WHOLE")" "$(repo_names "$repo")"
    assert_fsck_clean "$repo"
}

FICLONE=0x40049409 F_SETLEASE=1024

@test "without openat2 there is no pull" {
    refused 1 openat2 ENOSYS
    assert_match 'meta.json: Function not implemented' "$errors"
    assert_nothing_visible "$repo"
}
@test "without syncfs there is no pull" {
    refused 1 syncfs ENOSYS
    assert_match 'to the disk: Function not implemented' "$errors"
    assert_nothing_visible "$repo"
}
@test "without renameat2's flags" { as_with_it renameat2 EINVAL; }
@test "without Landlock" { as_with_it landlock_create_ruleset ENOSYS; }
@test "without seccomp" { as_with_it seccomp ENOSYS; }
@test "without clones" { as_with_it "ioctl:$FICLONE" EOPNOTSUPP; }
@test "without copy_file_range" { as_with_it copy_file_range ENOSYS; }
@test "without leases" { as_with_it "fcntl:$F_SETLEASE" EINVAL; }
@test "without faccessat2" { as_with_it faccessat2 ENOSYS; }
