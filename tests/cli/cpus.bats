#!/usr/bin/env bats
# Libraries choose their instructions by the CPU: what hashes, sums and decompresses runs on CPUs that lack some.

load ../lib/common

@test "hashes, sums and decompressors on CPUs without AVX, without carry-less multiplication" {
    local cpu t
    [ "$(uname -m)" = x86_64 ] || skip "the CPU models are of x86-64"
    [ -z "${SANITIZED:-}" ] || skip "kernel: sanitizers do not run under qemu"
    require_program qemu-x86_64
    ulimit -c 0
    for cpu in Haswell Westmere Nehalem qemu64,+ssse3,+sse4.1,+sse4.2; do
        for t in test-digest test-text test-splitstream test-tar-source; do
            echo "# $t on $cpu"
            qemu-x86_64 -cpu "$cpu" "$BUILD/tests/unit/$t" > "$BATS_TEST_TMPDIR/out" 2>&1 || { cat "$BATS_TEST_TMPDIR/out" && false; }
        done
    done
}
