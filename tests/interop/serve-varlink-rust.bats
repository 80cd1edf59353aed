#!/usr/bin/env bats
# A client on zlink with cfsctl's own types and client code (the crates composefs-oci and composefs-ctl),
# against our services of a store and of a repository, and against cfsctl's: the same typed answers.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    local cargo
    require_interop || return 0
    cargo=$("$LIB/peers" path cargo) || missing "needs cargo; tests/lib/peers cfsctl gets it" || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export CARGO_TARGET_DIR=$SPLITFD_CACHE/cargo-target
    export STORE=$SCRATCH/x/store REPO=$SCRATCH/x/repo RUST=$CARGO_TARGET_DIR/debug/varlink-rust RUST_BACKTRACE=0
    (cd "$SPLITFD_TOP/tests/interop/varlink-rust" && PATH=$(dirname "$cargo"):$PATH "$cargo" build -q)
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/small small
    store_diff_ids "$STORE" localhost/small:latest > "$SCRATCH/ids"
    background "$SCRATCH/cfsctl" "$CFSCTL" --insecure varlink --address "$SCRATCH/cfsctl"
    serve "$SCRATCH/store" --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
    serve "$SCRATCH/repo" --repo "$REPO"
}
teardown_file() {
    local pid
    for pid in "$SCRATCH"/*.pid; do kill "$(cat "$pid")" 2> /dev/null || true; done
    scratch_drop
}

# background SOCKET PROGRAM ARGUMENT…: until the end of the file.
background() {
    local socket=$1 i
    shift
    "$@" > "$socket.log" 2>&1 < /dev/null 3>&- 4>&- &
    echo $! > "$socket.pid"
    for i in $(seq 200); do [ ! -S "$socket" ] || return 0; sleep 0.05; done
    cat "$socket.log"
    return 1
}
serve() { # SOCKET OPTION…
    background "$1" "$BUILD/splitfd" serve --socket "$@"
}
# The program's output into a file; what it says on stderr is shown.
client() { timeout 120 "$RUST" "${@:2}" > "$1" 3>&- || { cat "$1"; return 1; }; }

# By cfsctl's own judgement the repository of the pull: exact where we wrote it; cfsctl's libzstd may be
# another one.
assert_as_pulled() { # exact|content REPO TAG
    assert_fsck_clean "$2" && assert_layers_exact "$2" "$3" && assert_same_streams "$1" "$2" "$3" "$REPO" &&
        assert_same "$(cfs "$REPO" oci compute-id small)" "$(cfs "$2" oci compute-id "$3")"
}

@test "the descriptions parse, and have cfsctl's methods and errors with their fields" {
    client "$SCRATCH/ours" interfaces "$SCRATCH/repo"
    client "$SCRATCH/theirs" interfaces "$SCRATCH/cfsctl"
    assert_same "$(sort "$SCRATCH/theirs")" "$(sort "$SCRATCH/ours")"
}

@test "a store: what it has, exact layers by diff_id and by locator, errors, calls sent together" {
    local layer d
    for d in $(cat "$SCRATCH/ids"); do store_layer_ids "$STORE" "$d"; done > "$SCRATCH/layers"
    client "$SCRATCH/said" store "$SCRATCH/store" "$STORE/root" localhost/small:latest $(cat "$SCRATCH/layers")
    {
        cat "$SCRATCH/ids"
        paste -d' ' "$SCRATCH/layers" "$SCRATCH/ids" | sed p
        echo 'OwnedError(MethodNotFound { method: "org.composefs.Oci.Nothing" })'
        echo 'OwnedError(MethodNotFound { method: "org.composefs.Oci.OciMount" })'
    } > "$SCRATCH/wanted"
    assert_same "$(cat "$SCRATCH/wanted")" "$(cat "$SCRATCH/said")"
}

@test "a repository: each method's answer is cfsctl's" {
    client "$SCRATCH/ours" answers "$SCRATCH/repo" "$REPO" small
    client "$SCRATCH/theirs" answers "$SCRATCH/cfsctl" "$REPO" small
    [ "$(wc -l < "$SCRATCH/ours")" -ge 20 ]
    assert_same "$(cat "$SCRATCH/theirs")" "$(cat "$SCRATCH/ours")"
}

@test "a repository: each method's errors are cfsctl's" {
    client "$SCRATCH/ours" errors "$SCRATCH/repo" "$REPO" small
    client "$SCRATCH/theirs" errors "$SCRATCH/cfsctl" "$REPO" small
    [ "$(wc -l < "$SCRATCH/ours")" -ge 20 ]
    assert_same "$(cat "$SCRATCH/theirs")" "$(cat "$SCRATCH/ours")"
}

@test "PutLayer, twice, then FinalizeImage: what cfsctl stores and counts" {
    local r who
    for r in "$SCRATCH"/x/put-{repo,cfsctl}; do repo_init "$r"; done
    serve "$SCRATCH/put" --repo "$SCRATCH/x/put-repo"
    client "$SCRATCH/ours" put "$SCRATCH/repo" "$REPO" "$SCRATCH/put" "$SCRATCH/x/put-repo" small
    client "$SCRATCH/theirs" put "$SCRATCH/repo" "$REPO" "$SCRATCH/cfsctl" "$SCRATCH/x/put-cfsctl" small
    assert_same "$(cat "$SCRATCH/theirs")" "$(cat "$SCRATCH/ours")"
    client "$SCRATCH/1" copy "$SCRATCH/repo" "$REPO" "$SCRATCH/put" "$SCRATCH/x/put-repo" small tag
    client "$SCRATCH/2" copy "$SCRATCH/repo" "$REPO" "$SCRATCH/cfsctl" "$SCRATCH/x/put-cfsctl" small tag
    assert_as_pulled exact "$SCRATCH/x/put-repo" tag
    assert_as_pulled content "$SCRATCH/x/put-cfsctl" tag
}

@test "cfsctl's own code for copying: a store into cfsctl, cfsctl into us, us into us" {
    local a=$SCRATCH/x/a b=$SCRATCH/x/b c=$SCRATCH/x/c r
    for r in "$a" "$b" "$c"; do repo_init "$r"; done
    serve "$SCRATCH/b" --repo "$b"
    serve "$SCRATCH/c" --repo "$c"
    client "$SCRATCH/1" copy "$SCRATCH/store" - "$SCRATCH/cfsctl" "$a" localhost/small one
    client "$SCRATCH/2" copy "$SCRATCH/cfsctl" "$a" "$SCRATCH/b" "$b" one two
    client "$SCRATCH/3" copy "$SCRATCH/b" "$b" "$SCRATCH/c" "$c" two three
    assert_same "$(cat "$SCRATCH/2")" "$(cat "$SCRATCH/3")"
    assert_as_pulled content "$a" one
    assert_as_pulled exact "$b" two
    assert_as_pulled exact "$c" three
}

@test "Pull with progress frames: what cfsctl pulls" {
    local layout r
    layout=$("$LIB/images" small)
    for r in "$SCRATCH"/x/pull-{ours,cfsctl}; do repo_init "$r"; done
    serve "$SCRATCH/p" --repo "$SCRATCH/x/pull-ours"
    client "$SCRATCH/ours" pull "$SCRATCH/p" "$SCRATCH/x/pull-ours" "oci:$layout" small
    client "$SCRATCH/theirs" pull "$SCRATCH/cfsctl" "$SCRATCH/x/pull-cfsctl" "oci:$layout" small
    assert_same "$(cat "$SCRATCH/theirs")" "$(cat "$SCRATCH/ours")"
    assert_fsck_clean "$SCRATCH/x/pull-ours"
    assert_layers_exact "$SCRATCH/x/pull-ours" small
    assert_same_streams content "$SCRATCH/x/pull-ours" small "$SCRATCH/x/pull-cfsctl"
}
