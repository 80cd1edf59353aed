#!/usr/bin/env bats
# contrib/quickstart, the README's first command, as it stands; what it installs and builds is there.

load ../lib/common

setup_file() {
    require_interop || return 0
    scratch_make
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    [ "${BUILD##*/}" = default ] || skip "kernel: it builds the default variant"
    export SPLITFD_DEMO=$SCRATCH/demo
}

@test "the quickstart ends with an image whose files share their extents, and cleans up" {
    timeout 900 "$SPLITFD_TOP/contrib/quickstart" > "$BATS_TEST_TMPDIR/out" 2>&1 < /dev/null ||
        { tail -n 30 "$BATS_TEST_TMPDIR/out"; return 1; }
    refute grep -q "$(printf '\033')" "$BATS_TEST_TMPDIR/out"
    grep -E '^objects +[0-9]{3,} reflinked \+ 0 copied \+ ' "$BATS_TEST_TMPDIR/out"
    grep -qx 'tagged   quickstart' "$BATS_TEST_TMPDIR/out"
    # The disk did not take the image a second time.
    local full
    full=$(sed -n 's/.*the disk got fuller by \([0-9]*\) KiB/\1/p' "$BATS_TEST_TMPDIR/out")
    [ "$full" -lt 12000 ]
    "$CFSCTL" --repo "$SPLITFD_DEMO/xfs/repo" oci fsck
    # Again: everything is there.
    timeout 900 "$SPLITFD_TOP/contrib/quickstart" > "$BATS_TEST_TMPDIR/out" 2>&1 < /dev/null
    grep -q 'is there already' "$BATS_TEST_TMPDIR/out"
    "$SPLITFD_TOP/contrib/quickstart" --clean
    [ ! -e "$SPLITFD_DEMO" ]
    refute grep -qF "$SPLITFD_DEMO" /proc/self/mountinfo
    "$SPLITFD_TOP/contrib/quickstart" --clean
}

@test "a folder that the quickstart has not made is left alone" {
    mkdir -p "$SPLITFD_DEMO"
    touch "$SPLITFD_DEMO/mine"
    refute "$SPLITFD_TOP/contrib/quickstart" > /dev/null 2>&1
    "$SPLITFD_TOP/contrib/quickstart" --clean
    [ -e "$SPLITFD_DEMO/mine" ]
    rm -r "$SPLITFD_DEMO"
}
