#!/usr/bin/env bats
# The pull tests with programs built for AddressSanitizer, UndefinedBehaviorSanitizer and
# ThreadSanitizer: no report. A report makes the program fail, and so the test.

load ../lib/common

setup_file() {
    require_interop || return 0
    export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1:strict_string_checks=1
    export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=exitcode=99:halt_on_error=1:second_deadlock_stack=1
}

# A run of bats within bats must not take the outer one's variables for its own.
run_apart() ( # BUILD FILE
    unset $(compgen -v BATS_)
    BUILD=$1 SANITIZED=yes exec timeout 1800 bats --tap "$SPLITFD_TOP/tests/$2"
)

with_variant() { # SANITIZE FILE…
    local variant=build/${1//,/-} failed=0 file
    make -C "$SPLITFD_TOP" -s -j"$(nproc)" SANITIZE="$1" all test-programs > "$BATS_TEST_TMPDIR/make" 2>&1 3>&- ||
        { tail -n 30 "$BATS_TEST_TMPDIR/make"; return 1; }
    shift
    for file in "$@"; do
        run_apart "$variant" "$file" > "$BATS_TEST_TMPDIR/log" 2>&1 < /dev/null 3>&- || {
            failed=1
            echo "$file:"
            grep -v '^ok ' "$BATS_TEST_TMPDIR/log" | head -n 150
        }
    done
    return $failed
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: pulls, bad stores, odd layers, bad trees" {
    with_variant address,undefined interop/pull.bats interop/pull-bad-store.bats interop/pull-odd.bats \
        interop/pull-bad-tree.bats
}

@test "ThreadSanitizer: pulls, two at once" {
    with_variant thread interop/pull.bats interop/pull-concurrent.bats interop/layer-wire-all.bats
}

@test "unit tests of both variants" {
    local variant log=$BATS_TEST_TMPDIR/log
    for variant in address-undefined thread; do
        for test in "$SPLITFD_TOP/build/$variant"/tests/unit/test-*; do
            case $test in *.o | *.d) continue ;; esac
            (cd "$SPLITFD_TOP" && "$test" > "$log" 2>&1 < /dev/null 3>&-) || { echo "$test"; tail -n 60 "$log"; return 1; }
        done
    done
}
