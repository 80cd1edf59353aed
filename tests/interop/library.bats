#!/usr/bin/env bats
# The engine in the installed library: the examples pull and push as the program does, with progress,
# twice at once in one process, and end in the middle without a trace.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

# An example, as its head says: with the installed shared library alone. In a build for sanitizers, which has no
# shared one, with the static library of the build.
example() { # NAME
    local cc=(cc -std=gnu11 -Wall -Wextra -Werror "$SPLITFD_TOP/contrib/examples/c/$1.c" -o "$SCRATCH/$1" -pthread)
    if [ -n "${SANITIZED:-}" ]; then
        "${cc[@]}" -g -fsanitize="$(basename "$BUILD" | tr - ,)" -fno-sanitize-recover=all -I"$SPLITFD_TOP" \
            "$BUILD/libsplitfd.a" -lzstd -lcjson -lcrypto -lisal -ldl -lm
    else
        "${cc[@]}" $(PKG_CONFIG_PATH=$DEST/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DEST pkg-config --cflags --libs splitfd) \
            -Wl,-rpath,"$DEST/usr/lib"
    fi
}
setup_file() {
    require_interop || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 2G
    export STORE=$SCRATCH/x/store DEST=$SCRATCH/dest EXAMPLE=$SCRATCH/splitfd-pull PUSH=$SCRATCH/splitfd-push
    [ -n "${SANITIZED:-}" ] || make -s -C "$SPLITFD_TOP" install DESTDIR="$DEST" prefix=/usr > /dev/null
    cd "$SCRATCH"
    example splitfd-pull
    example splitfd-push
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
}
teardown_file() { scratch_drop; }
teardown() { stop_services; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$SCRATCH/x/r$BATS_TEST_NUMBER
    repo_init "$repo"
    pids=()
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
# bats test_tags=asan, tsan
@test "twice at once in one process, into one repository" {
    run --separate-stderr "$EXAMPLE" "$repo" "$image" "$image"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    assert_cfsctl_accepts "$repo" "$image"
}
# bats test_tags=asan, tsan
@test "stopped in the middle: one error, and nothing is visible" {
    SPLITFD_PULL_STOP_AFTER=1 run --separate-stderr "$EXAMPLE" "$repo" "$image" "$image"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$(grep -c '^splitfd-pull: .*: interrupted; nothing was made visible$' <<< "$stderr")" -eq 2 ]
    assert_nothing_visible "$repo"
    run "$EXAMPLE" "$repo" "$image"
    [ "$status" -eq 0 ]
}
# bats test_tags=asan
@test "what is wrong is an error of the call, without a word from the library" {
    run --separate-stderr "$EXAMPLE" "$repo/missing" "$image"
    [ "$status" -eq 1 ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    run --separate-stderr "$EXAMPLE" "$repo" localhost/none-of-this-name
    [ "$status" -eq 1 ]
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
}

manifest_digest() { cfs "$repo" oci images --json | jq -r --arg n "$1" '.images[] | select(.name == $n) | .manifest_digest'; } # TAG
# The service opens any repository that a client names.
service() { background "$SCRATCH/socket" "$CFSCTL" --insecure varlink --address "$SCRATCH/socket"; }

# bats test_tags=asan, tsan
@test "a push to cfsctl's service, with progress, as a pull stores it" {
    store_pull 0 "$repo" "$STORE" localhost/small small
    repo_init "$repo-pushed"
    rm -f "$SCRATCH/socket"
    service
    run --separate-stderr "$PUSH" "$SCRATCH/socket" "$repo-pushed" "$image" small
    echo "$output$stderr"
    [ "$status" -eq 0 ]
    # One of the files has a name that is not UTF-8: its content goes through the pipe.
    assert_match '^sha256:[0-9a-f]{64}: 3 layers sent, 0 present, [1-9][0-9]* files reflinked, 1 copied$' "$output"
    assert_same "$(manifest_digest small)" "${output%%: *}"
    assert_match '^3 layers' "$stderr"
    assert_same 3 "$(grep -cE '^layer [012] is stored$' <<< "$stderr")"
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo-pushed" small # its own leaves some
    assert_same "$(cfs "$repo" oci compute-id small)" "$(cfs "$repo-pushed" oci compute-id small)"
    assert_same_streams content "$repo-pushed" small "$repo" # its libzstd is another

    run --separate-stderr "$PUSH" "$SCRATCH/socket" "$repo-pushed" "$image" again
    [ "$status" -eq 0 ]
    assert_match ': 0 layers sent, 3 present, 0 files reflinked, 0 copied$' "$output"
    assert_same 3 "$(grep -cE '^layer [012] is present$' <<< "$stderr")"
}
# bats test_tags=asan
@test "a push that is refused is an error of the call, and no tag" {
    rm -f "$SCRATCH/socket"
    run --separate-stderr "$PUSH" "$SCRATCH/socket" "$repo" "$image" small
    [ "$status" -eq 1 ]
    assert_match '^splitfd-push: containers-storage:.*: [^\n]*socket' "$stderr"
    service
    for words in "$SCRATCH/x/none $image" "$repo containers-storage:localhost/none-of-this-name"; do
        run --separate-stderr "$PUSH" "$SCRATCH/socket" $words small
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        assert_same 1 "$(wc -l <<< "$stderr")"
        assert_match '^splitfd-push: ' "$stderr"
    done
    assert_nothing_visible "$repo"
}

# What library-caller prints of callers of other releases, whose structs have other sizes.
sizes() { # pull|push ARGUMENT…
    local digest
    run --separate-stderr "$BUILD/tests/lib/library-caller" "$@"
    echo "$output$stderr"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    digest=$(manifest_digest by-size)
    assert_match '^sha256:[0-9a-f]{64}$' "$digest"
    assert_same "nothing is set: EINVAL EINVAL
unknown option: E2BIG, kind 2: an option is set that this libsplitfd does not know
no size: EINVAL, kind 2: the options do not say their size
size alone: EINVAL, kind 2: the option 'image' is not set
older: 0 $digest
older result: 0 $digest
oldest result: 0 no place for it
newer: 0 $digest
neither result nor error: 0" "$output"
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo" by-size
}
# bats test_tags=asan
@test "structs of other releases: smaller and larger ones are right, an unknown option is refused" {
    sizes pull "$image" "$repo" "$STORE/root" "$STORE/run"
    rm -rf "$repo" "$SCRATCH/socket"
    repo_init "$repo"
    service
    sizes push "$image" "$repo" "$STORE/root" "$STORE/run" "$SCRATCH/socket"
}
