#!/usr/bin/env bats
# Memory that runs out: a right result, or one error that says so.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

setup_file() {
    require_interop || return 0
    require_program python3 prlimit
    scratch_make
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" plain
    export STORE=$SCRATCH/store REPO=$SCRATCH/repo
    store_load debian "$SCRATCH/odd/plain" "$STORE" localhost/plain
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/plain plain
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    [ -z "${SANITIZED:-}" ] || skip "kernel: a sanitizer takes memory for itself"
    pids=()
}
teardown() { stop_services; }

# A service in 50 MiB of address space.
crowded() { # SCHEME IMAGE SERVE-ARGUMENT…
    local socket=$SCRATCH/s$BATS_TEST_NUMBER scheme=$1 image=$2
    shift 2
    background "$socket" prlimit --as=$((50 << 20)) "$BUILD/splitfd" serve --socket "$socket" "$@"
    cat > "$SCRATCH/client" <<END
#!/bin/sh -e
rm -rf "$SCRATCH/theirs"
"$BUILD/splitfd" init --insecure --repo "$SCRATCH/theirs" > /dev/null
timeout 60 "$BUILD/splitfd" pull --repo "$SCRATCH/theirs" "$scheme:$socket#$image" x > /dev/null
END
    chmod +x "$SCRATCH/client"
    "$LIB/crowd-limit.py" "$socket" "${pids[0]}" 300 "$SCRATCH/client" 3>&- 4>&-
    stop_services
    assert_cfsctl_accepts "$SCRATCH/theirs" x
    rm -rf "$SCRATCH/theirs"
}

@test "a crowd at a store's service: it serves meanwhile and afterwards" {
    crowded varlink localhost/plain --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}

@test "a crowd at a store's service by JSON-RPC" {
    crowded jsonrpc localhost/plain --protocol=jsonrpc --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}

@test "a crowd at a repository's service" {
    crowded varlink plain --repo "$REPO"
}
