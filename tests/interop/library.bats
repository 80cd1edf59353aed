#!/usr/bin/env bats
# The engine in the installed library: the example pulls as the program does, with progress, twice
# at once in one process, and ends in the middle without a trace.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    [ -z "${SANITIZED:-}" ] || { export SKIP_ALL="kernel: no shared library in a build for sanitizers"; return 0; }
    scratch_make
    fs_make xfs "$SCRATCH/x" 2G
    export STORE=$SCRATCH/x/store DEST=$SCRATCH/dest EXAMPLE=$SCRATCH/splitfd-pull
    make -s -C "$SPLITFD_TOP" install DESTDIR="$DEST" prefix=/usr > /dev/null
    cp "$SPLITFD_TOP/contrib/examples/c/splitfd-pull.c" "$SCRATCH"
    (cd "$SCRATCH" && cc -std=gnu11 -Wall -Wextra -Werror splitfd-pull.c -o "$EXAMPLE" -pthread \
        $(PKG_CONFIG_PATH=$DEST/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DEST pkg-config --cflags --libs splitfd) \
        -Wl,-rpath,"$DEST/usr/lib")
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$SCRATCH/x/r$BATS_TEST_NUMBER
    repo_init "$repo"
    image="containers-storage:[overlay@$STORE/root+$STORE/run]localhost/small:latest"
}

@test "an image, with progress, as the program stores it" {
    store_pull 0 "$repo" "$STORE" localhost/small program
    run --separate-stderr "$EXAMPLE" "$repo" "$image"
    [ "$status" -eq 0 ]
    assert_match '^containers-storage:.* sha256:[0-9a-f]{64} [0-9a-f]{128}$' "$output"
    assert_match 'layer 0 is present' "$stderr"

    repo_init "$repo-again"
    run --separate-stderr "$EXAMPLE" "$repo-again" "$image"
    [ "$status" -eq 0 ]
    assert_match ': [0-9]+ layers' "$stderr"
    assert_match 'layer 0: [0-9]+ bytes' "$stderr"
    assert_match 'layer 0 is stored' "$stderr"
    assert_cfsctl_accepts "$repo-again" "$image"
    assert_same "$(cfs "$repo" oci compute-id program)" "$(cfs "$repo-again" oci compute-id "$image")"
}
@test "twice at once in one process, into one repository" {
    run --separate-stderr "$EXAMPLE" "$repo" "$image" "$image"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    assert_cfsctl_accepts "$repo" "$image"
}
@test "stopped in the middle: one error, and nothing is visible" {
    SPLITFD_PULL_STOP_AFTER=1 run --separate-stderr "$EXAMPLE" "$repo" "$image" "$image"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$(grep -c '^splitfd-pull: .*: interrupted; nothing was made visible$' <<< "$stderr")" -eq 2 ]
    assert_nothing_visible "$repo"
    run "$EXAMPLE" "$repo" "$image"
    [ "$status" -eq 0 ]
}
@test "what is wrong is an error of the call, without a word from the library" {
    run --separate-stderr "$EXAMPLE" "$repo/missing" "$image"
    [ "$status" -eq 1 ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    run --separate-stderr "$EXAMPLE" "$repo" localhost/none-of-this-name
    [ "$status" -eq 1 ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
}
