#!/usr/bin/env bats
# splitfd built in the newer suite, with libzstd 1.5.7 as cfsctl has it: the same names, byte for byte.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    require_newer || return 0
    scratch_make
    SMALL=$("$LIB/images" small)
    PROGRAM=$("$LIB/newer-build")
    export SMALL PROGRAM ORACLE=$SCRATCH/oracle STORE=$SCRATCH/xfs/store
    fs_make xfs "$SCRATCH/xfs" 2G
    store_load newer "$SMALL" "$STORE" localhost/small
}
teardown_file() { scratch_drop; }

pull_inside() { # REPO
    "$LIB/newer" "$PROGRAM" init --insecure --algorithm "$2" --repo "$1"
    "$LIB/newer" "$PROGRAM" pull --repo "$1" --root "$STORE/root" --runroot "$STORE/run" localhost/small small
}

@test "objects, config and layer streams have the names of cfsctl's own pull" {
    local repo algorithm
    for algorithm in fsverity-sha512-12 fsverity-sha256-12; do
        repo=$SCRATCH/xfs/repo-$algorithm
        "$CFSCTL" --repo "$ORACLE-$algorithm" init --insecure --algorithm $algorithm > /dev/null
        "$CFSCTL" --repo "$ORACLE-$algorithm" oci pull "oci:$SMALL" small > /dev/null
        pull_inside "$repo" $algorithm
        assert_cfsctl_accepts "$repo" small
        assert_same_streams exact "$repo" small "$ORACLE-$algorithm"
    done
}

@test "each library that it opens at run time is there under the name that it asks for" {
    local name
    grep -aoE '"soname":\["[^"]+' "$SPLITFD_TOP/build/newer/build/splitfd" | sed 's/.*"//' > "$BATS_TEST_TMPDIR/names"
    grep -qx 'liblzma.so.5' "$BATS_TEST_TMPDIR/names"
    grep -qx 'libbz2.so.1.0' "$BATS_TEST_TMPDIR/names"
    "$LIB/newer" /sbin/ldconfig -p > "$BATS_TEST_TMPDIR/there"
    while read -r name; do grep -qF "$name " "$BATS_TEST_TMPDIR/there" || { echo "no $name"; return 1; }; done < "$BATS_TEST_TMPDIR/names"
}

@test "the wrapper of the newer suite shares the extents as well" {
    local repo=$SCRATCH/xfs/repo-shared
    pull_inside "$repo" fsverity-sha512-12
    assert_extents_shared "$repo" small "$STORE"
}

@test "beside cfsctl's own pull of the same image: both right, gc loses nothing" {
    local n theirs repo=$SCRATCH/xfs/repo-beside
    for n in 1 2 3 4 5; do
        rm -rf "$repo"
        "$CFSCTL" --repo "$repo" init --insecure > /dev/null
        cfs "$repo" oci pull "oci:$SMALL" theirs > /dev/null 2> "$BATS_TEST_TMPDIR/theirs" 3>&- &
        theirs=$!
        sleep 0.$((n * 2))
        "$LIB/newer" "$PROGRAM" pull --repo "$repo" --root "$STORE/root" --runroot "$STORE/run" localhost/small ours
        wait $theirs || { cat "$BATS_TEST_TMPDIR/theirs"; return 1; }
        GARBAGE_OK=1
        assert_cfsctl_accepts "$repo" ours
        assert_cfsctl_accepts "$repo" theirs
    done
}
