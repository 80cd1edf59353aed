#!/usr/bin/env bats
# The varlink service against real peers: cfsctl's service as the other end and as the model, varlinkctl,
# a client on zlink, podman's store.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop
    require_program python3
    scratch_make
    export STORE=$SCRATCH/store REPO=$SCRATCH/repo
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    store_diff_ids "$STORE" localhost/small:latest > "$SCRATCH/ids"
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/small small
}
teardown_file() { scratch_drop; }

setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
}
teardown() { stop_services; }
# A service holds the lock of a repository that it has opened.
stop_services() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2> /dev/null || continue
        wait "$pid" || true
    done
    pids=()
}

# In the background, with a log; ends with the test. Waits until PATH can be connected to.
background() { # PATH PROGRAM ARGUMENT…
    local path=$1 i
    shift
    "$@" > "$BATS_TEST_TMPDIR/log.${#pids[@]}" 2>&1 < /dev/null 3>&- 4>&- &
    pids+=($!)
    for i in $(seq 200); do
        [ ! -S "$path" ] || return 0
        sleep 0.05
    done
    cat "$BATS_TEST_TMPDIR"/log.*
    return 1
}
serve() { # PATH ARGUMENT…
    background "$1" "$BUILD/splitfd" serve --socket "$@"
}
serve_store() { # PATH ARGUMENT…
    serve "$@" --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}
serve_cfsctl() { # PATH
    background "$1" "$CFSCTL" varlink --address "$1"
}

@test "a store's layers into a repository by cfsctl's service; both answer alike" {
    local other=$SCRATCH/other
    repo_init "$other"
    serve_store "$SCRATCH/s"
    serve_cfsctl "$SCRATCH/c"
    "$LIB/varlink-store.py" "$SCRATCH/s" "$SCRATCH/c" "$STORE/root" "$other" localhost/small
    stop_services
    GARBAGE_OK=1 assert_cfsctl_accepts "$other" sent
    assert_same "$(cfs "$REPO" oci compute-id small)" "$(cfs "$other" oci compute-id sent)"
    rm -rf "$other"
}

@test "OpenVarlinkSocket of the image proxy" {
    "$LIB/varlink-proxy.py" "$BUILD/splitfd" "$(store_spec "$STORE")" localhost/small $(cat "$SCRATCH/ids") 3>&- 4>&-
}
