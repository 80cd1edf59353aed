#!/usr/bin/env bats
# Tests of other files with programs built for AddressSanitizer, UndefinedBehaviorSanitizer and
# ThreadSanitizer: no report, by any process, also one whose end no test looks at. A test runs here where
# it has the tag asan or tsan ("# bats test_tags=asan, tsan" before it; file_tags for all of a file). Of tests
# that differ only by file system or by the suite of the store, one is enough. tests/lint compares the lists
# of files below with the tags.
#   BATS_TIMING=yes   prints the seconds of each of these tests, not only of each file

load ../lib/common

setup_file() {
    [ -z "${SANITIZED:-}" ] || missing "kernel: the build is one with sanitizers" || return 0
    require_interop || return 0
    export PROXY_COUNT=20
}

# A run of bats within bats must not take the outer one's variables for its own.
run_apart() ( # BUILD TAG FILE
    unset $(compgen -v BATS_)
    BUILD=$1 exec timeout 1800 "$LIB/sanitized" bats --tap --timing --filter-tags "$2" "$SPLITFD_TOP/tests/$3"
)

build() { # SANITIZE
    make -C "$SPLITFD_TOP" -s -j"$(nproc)" SANITIZE="$1" all test-programs > "$BATS_TEST_TMPDIR/make" 2>&1 3>&- ||
        { tail -n 30 "$BATS_TEST_TMPDIR/make"; return 1; }
}

# with_variant VARIANT TAG, and files that have the tag, a line each: their tests that have it.
with_variant() {
    local variant=build/$1 tag=$2 failed=0 file start ran planned log=$BATS_TEST_TMPDIR/log
    while read -r file; do
        start=$SECONDS
        run_apart "$variant" "$tag" "$file" > "$log" 2>&1 < /dev/null 3>&- || {
            failed=1
            echo "$file:"
            grep -v '^ok ' "$log" | head -n 150
        }
        ran=$(grep -c '^ok ' "$log") || true
        planned=$(sed -n 's/^1\.\.//p' "$log")
        [ "$ran" -gt 0 ] && [ "$ran" = "$planned" ] || { failed=1; echo "$file: $ran of $planned tests ended well"; }
        ! grep -E '^ok .*# skip' "$log" | grep -v '# skip kernel: ' || [ "${CI:-}" != true ] || failed=1
        echo "# $variant $file: $ran tests, $((SECONDS - start)) s" >&3
        [ -z "${BATS_TIMING:-}" ] || sed -n 's/^ok/#   &/p' "$log" >&3
    done
    return $failed
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: the build" { build address,undefined; }

@test "AddressSanitizer and UndefinedBehaviorSanitizer: pulls, bad stores, odd layers, bad trees" {
    with_variant address-undefined asan << END
interop/pull.bats
interop/pull-bad-store.bats
interop/pull-odd.bats
interop/pull-bad-tree.bats
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: the image proxy and its client" {
    with_variant address-undefined asan << END
interop/proxy.bats
interop/proxy-splitfd.bats
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: both services, push, the rootless opener" {
    with_variant address-undefined asan << END
interop/serve-varlink.bats
interop/serve-jsonrpc.bats
interop/push.bats
interop/rootless.bats
cli/rootless-opener.bats
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: repositories, mounts, trees, streams that are wrong" {
    with_variant address-undefined asan << END
interop/library.bats
interop/repository.bats
interop/pull-mount.bats
interop/erofs.bats
cli/import-layer-bad.bats
END
}

@test "ThreadSanitizer: the build" { build thread; }

@test "ThreadSanitizer: pulls, two at once, odd layers, with bars" {
    with_variant thread tsan << END
interop/pull.bats
interop/library.bats
interop/pull-concurrent.bats
interop/layer-wire-all.bats
interop/pull-odd.bats
interop/import.bats
interop/output.bats
END
}

@test "ThreadSanitizer: the image proxy and its client" {
    with_variant thread tsan << END
interop/proxy.bats
interop/proxy-splitfd.bats
END
}

@test "ThreadSanitizer: both services, push, the rootless opener" {
    with_variant thread tsan << END
interop/serve-varlink-repo.bats
interop/serve-varlink.bats
interop/serve-jsonrpc.bats
interop/push.bats
interop/rootless.bats
cli/rootless-opener.bats
END
}

@test "unit tests of both variants" {
    local variant log=$BATS_TEST_TMPDIR/log
    for variant in address-undefined thread; do
        for test in "$SPLITFD_TOP/build/$variant"/tests/unit/test-*; do
            case $test in *.o | *.d) continue ;; esac
            (cd "$SPLITFD_TOP" && "$LIB/sanitized" "$test" > "$log" 2>&1 < /dev/null 3>&-) || { echo "$test"; tail -n 60 "$log"; return 1; }
        done
    done
}
