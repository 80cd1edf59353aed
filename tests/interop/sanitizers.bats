#!/usr/bin/env bats
# Tests of other files with programs built for AddressSanitizer, UndefinedBehaviorSanitizer and
# ThreadSanitizer: no report, by any process, also one whose end no test looks at. Of tests that differ
# only by file system or by the suite of the store, one is enough here.
#   BATS_TIMING=yes   prints the seconds of each of these tests, not only of each file

load ../lib/common

setup_file() {
    [ -z "${SANITIZED:-}" ] || missing "kernel: the build is one with sanitizers" || return 0
    require_interop || return 0
    export PROXY_COUNT=20
}

# A run of bats within bats must not take the outer one's variables for its own.
run_apart() ( # BUILD FILE FILTER
    unset $(compgen -v BATS_)
    BUILD=$1 exec timeout 1800 "$LIB/sanitized" bats --tap --timing --filter "$3" "$SPLITFD_TOP/tests/$2"
)

build() { # SANITIZE
    make -C "$SPLITFD_TOP" -s -j"$(nproc)" SANITIZE="$1" all test-programs > "$BATS_TEST_TMPDIR/make" 2>&1 3>&- ||
        { tail -n 30 "$BATS_TEST_TMPDIR/make"; return 1; }
}

# with_variant VARIANT, and lines of FILE all, or FILE COUNT FILTER: that many of the file's tests, those
# whose names match the extended regular expression.
with_variant() {
    local variant=build/$1 failed=0 file count filter start ran log=$BATS_TEST_TMPDIR/log
    while read -r file count filter; do
        start=$SECONDS
        run_apart "$variant" "$file" "${filter:-.}" > "$log" 2>&1 < /dev/null 3>&- || {
            failed=1
            echo "$file:"
            grep -v '^ok ' "$log" | head -n 150
        }
        ran=$(grep -c '^ok ' "$log") || true
        [ "$count" != all ] || count=$(grep -c '^@test' "$SPLITFD_TOP/tests/$file")
        [ "$ran" -eq "$count" ] || { failed=1; echo "$file: $ran of $count tests ended well"; }
        ! grep -E '^ok .*# skip' "$log" | grep -v '# skip kernel: ' || [ "${CI:-}" != true ] || failed=1
        echo "# $variant $file: $ran tests, $((SECONDS - start)) s" >&3
        [ -z "${BATS_TIMING:-}" ] || sed -n 's/^ok/#   &/p' "$log" >&3
    done
    return $failed
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: the build" { build address,undefined; }

@test "AddressSanitizer and UndefinedBehaviorSanitizer: pulls, bad stores, odd layers, bad trees" {
    with_variant address-undefined << END
interop/pull.bats 8 ^(XFS|ext4), store of Debian|^a vfs store of Debian|sha256 repo|reflink=(always|never)|adopts|^names
interop/pull-bad-store.bats all
interop/pull-odd.bats 2 of Debian's suite|schema 2
interop/pull-bad-tree.bats all
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: the image proxy and its client" {
    with_variant address-undefined << END
interop/proxy.bats 7 docker manifest|^splitfd pull of oci|smallest number|random conv|hostile|hangs or dies
interop/proxy-splitfd.bats 4 through a proxy that|objects directory|both formats|damaged
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: both services, push, the rootless opener" {
    with_variant address-undefined << END
interop/serve-varlink.bats 7 layers into|OpenVarlinkSocket|PutLayer|keep the rules|the same at|thousand|sockets of
interop/serve-jsonrpc.bats 5 is pull from the store|ulimit|lies|hostile|thousand
interop/push.bats 4 ^XFS|own services|misbehave
interop/rootless.bats 3 ^overlay on XFS|^get-layer|private file that was changed
cli/rootless-opener.bats all
END
}

@test "AddressSanitizer and UndefinedBehaviorSanitizer: repositories, mounts, trees, streams that are wrong" {
    with_variant address-undefined << END
interop/repository.bats all
interop/pull-mount.bats all
interop/erofs.bats 5 ^more than|^odd layers|^random layers|^what
cli/import-layer-bad.bats all
END
}

@test "ThreadSanitizer: the build" { build thread; }

@test "ThreadSanitizer: pulls, two at once, odd layers, with bars" {
    with_variant thread << END
interop/pull.bats 2 ^XFS, store of Debian|reflink=never
interop/pull-concurrent.bats 8 ^podman|^two|^beside|^cfsctl|^a pull waits
interop/layer-wire-all.bats all
interop/pull-odd.bats 1 of Debian's suite
interop/import.bats 2 ^XFS|^10,000
interop/output.bats 1 ^bars are drawn
END
}

@test "ThreadSanitizer: the image proxy and its client" {
    with_variant thread << END
interop/proxy.bats 5 ^splitfd pull of oci|smallest number|hostile|hangs or dies
interop/proxy-splitfd.bats 4 through a proxy that|objects directory|both formats|damaged
END
}

@test "ThreadSanitizer: both services, push, the rootless opener" {
    with_variant thread << END
interop/serve-varlink-repo.bats 2 ^Pull of a store|go away
interop/serve-varlink.bats 5 OpenVarlinkSocket|PutLayer|keep the rules|the same at|thousand
interop/serve-jsonrpc.bats 3 is pull from the store|hostile|thousand
interop/push.bats 2 ^XFS|own services
interop/rootless.bats 2 ^overlay on XFS|^get-layer
cli/rootless-opener.bats all
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
