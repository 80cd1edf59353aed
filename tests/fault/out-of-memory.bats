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
    local socket=$SCRATCH/s$BATS_TEST_NUMBER scheme=$1 image=$2 opens=
    shift 2
    [ "$1" != --repo ] || opens="--from-repo '$2'"
    background "$socket" prlimit --as=$((50 << 20)) "$BUILD/splitfd" serve --socket "$socket" "$@"
    cat > "$SCRATCH/client" <<END
#!/bin/sh -e
rm -rf "$SCRATCH/theirs"
"$BUILD/splitfd" init --insecure --repo "$SCRATCH/theirs" > /dev/null
timeout 60 "$BUILD/splitfd" pull $opens --repo "$SCRATCH/theirs" "$scheme:$socket#$image" x > /dev/null
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

@test "images in ever less address space: the list, or that memory is short" {
    local kib got listed=0 short=0
    for kib in $(seq 7000 100 12000); do
        got=0
        (ulimit -v "$kib"; exec "$BUILD/splitfd" images --repo "$REPO") > "$SCRATCH/out" 2> "$SCRATCH/err" || got=$?
        if [ "$got" -eq 0 ]; then
            grep -q '^plain ' "$SCRATCH/out" || { echo "$kib KiB"; cat "$SCRATCH/out"; return 1; }
            listed=$((listed + 1))
        else
            # 127: ld.so had no room for the libraries.
            [ "$got" -eq 1 ] || [ "$got" -eq 127 ] || { echo "$kib KiB: exit $got"; cat "$SCRATCH/err"; return 1; }
            grep -qE 'out of memory|annot allocate memory|failed to map segment' "$SCRATCH/err" || { echo "$kib KiB"; cat "$SCRATCH/err"; return 1; }
            short=$((short + 1))
        fi
    done
    [ "$listed" -gt 0 ] && [ "$short" -gt 0 ]
}

# The whole: tests/fault/malloc-campaign --all.
@test "allocations that fail in every command: a sample" {
    "$SPLITFD_TOP/tests/fault/malloc-campaign" --build "$BUILD" --n "${MALLOC_SAMPLE:-240}" --seed "${MALLOC_SEED:-1}" --jobs 4 3>&-
}

@test "a composefs-data that cannot be opened is an error, not a layer of another kind" {
    local n error get="get-layer --no-sandbox --format=tar --root $STORE/root --runroot $STORE/run --storage-driver overlay localhost/plain 0"
    strace -qq -e trace=openat2 -o "$SCRATCH/opened" "$BUILD/splitfd" $get > /dev/null
    n=$(grep -n '"composefs-data"' "$SCRATCH/opened" | cut -d: -f1)
    [ -n "$n" ]
    for error in EMFILE EIO EACCES; do
        SPLITFD_RUN="strace -qq -o /dev/null -e trace=openat2 -e inject=openat2:error=$error:when=$n" run_splitfd 1 $get
        assert_match 'composefs-data cannot be opened: ' "$errors"
    done
}
