#!/usr/bin/env bats
# The tar parser against Go's archive/tar, which podman reads layers with (tests/interop/tar-go).

load ../lib/common

setup_file() {
    require_program go || return 0
    scratch_make
    export GOCACHE=$SPLITFD_CACHE/gocache TAR_GO=$SCRATCH/tar-go
    (cd "$SPLITFD_TOP/tests/interop/tar-go" && go build -o "$TAR_GO" .)
}
teardown_file() { scratch_drop; }

@test "10000 generated tars: the same entries, or both refuse" {
    local out
    out=$("$TAR_GO" "$BUILD/tests/lib/tar-entries" random "${TARS:-10000}" "${SEED:-1}") || { echo "$out"; return 1; }
    echo "$out"
    # Tars of each kind are among them.
    for kind in same 'same, with a difference to cfsctl' 'same, refused by cfsctl' 'both refuse' \
        'archive/tar refuses, read as cfsctl does'; do
        grep -qE "^ *[0-9]{2,} $kind\$" <<< "$out"
    done
    assert_match ' 0 differ of ' "$out"
}

@test "the tars that archive/tar is tested with" {
    local dir out files=()
    dir=$(go env GOROOT)/src/archive/tar/testdata
    [ -d "$dir" ] || skip "needs $dir"
    mkdir "$SCRATCH/files"
    for f in "$dir"/*.tar; do cp "$f" "$SCRATCH/files/"; done
    for f in "$dir"/*.tar.base64; do base64 -d "$f" > "$SCRATCH/files/$(basename "$f" .base64)"; done
    for f in "$dir"/*.tar.bz2; do bzip2 -dc "$f" > "$SCRATCH/files/$(basename "$f" .bz2)"; done
    files=("$SCRATCH"/files/*.tar)
    [ "${#files[@]}" -ge 40 ]
    out=$("$TAR_GO" "$BUILD/tests/lib/tar-entries" files "${files[@]}") || { echo "$out"; return 1; }
    assert_match " 0 differ of ${#files[@]}" "$out"
}
