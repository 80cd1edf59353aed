#!/usr/bin/env bats
# A client that leaves takes its call's work with it, whatever was left to do: clients of another user
# hold no thread of a service.
load ../lib/common
load ../lib/varlink

setup() {
    require_program python3
    cd "$BATS_TEST_TMPDIR" || return 1
    pids=()
    S=$(mktemp -u "${TMPDIR:-/tmp}/sfdt-hangup.XXXXXX")
    "$BUILD/splitfd" init --insecure --repo "$PWD/r" > /dev/null
}
teardown() {
    stop_services
    rm -f "$S"
}
attack() { "$LIB/serve-hangup.py" "$S" "${pids[0]}" "$1" "$PWD/r"; } # WHAT

@test "PutLayer of a stream without an end" {
    serve "$S" --repo "$PWD/r" --allow-any
    attack put
}

@test "Fsck of objects that take days to read" {
    local i
    for i in 11 22 33 44; do
        mkdir -p "r/objects/$i"
        truncate -s 4T "r/objects/$i/$(printf '%0126d' 0)"
    done
    serve "$S" --repo "$PWD/r" --allow-any
    attack fsck
}
