#!/usr/bin/env bats
# The worker threads of a service are those of one program, however many clients import at once.
load ../lib/common

@test "eight clients in the middle of a PutLayer share the workers of one import" {
    require_program python3
    local clients=8 pid threads
    "$BUILD/splitfd" init --insecure --repo "$BATS_TEST_TMPDIR/r" > /dev/null
    "$BUILD/splitfd" serve --repo "$BATS_TEST_TMPDIR/r" --socket "$BATS_TEST_TMPDIR/s" 2> "$BATS_TEST_TMPDIR/log" &
    pid=$!
    for _ in $(seq 100); do [ ! -S "$BATS_TEST_TMPDIR/s" ] || break; sleep 0.1; done
    threads=$("$LIB/put-crowd.py" "$BATS_TEST_TMPDIR/s" $pid $clients "$BATS_TEST_TMPDIR/r")
    kill $pid
    wait $pid || true
    # A thread for each client, the main one, the one that waits for signals, and the workers.
    [ "$threads" -gt "$clients" ]
    [ "$threads" -le $((clients + 2 + $(nproc))) ] || { echo "$threads threads"; return 1; }
}
