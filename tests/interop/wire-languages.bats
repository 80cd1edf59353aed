#!/usr/bin/env bats
# Readers of the streams in four languages, each written from the formats' descriptions alone, and
# the Rust crate that owns splitdirfdstream, both ways.
load ../lib/common
load ../lib/store
load ../lib/repo

WIRE=$LIB/wire-pipe.py

setup_file() {
    require_interop
    require_program python3 go cargo
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export STORE=$SCRATCH/x/store PULLED=$SCRATCH/x/pulled DEST=$SCRATCH/dest
    export CARGO_TARGET_DIR=$SPLITFD_CACHE/cargo-target GOCACHE=$SPLITFD_CACHE/gocache
    (cd "$SPLITFD_TOP/contrib/examples/rust" && cargo build -q)
    (cd "$SPLITFD_TOP/tests/interop/wire-rust" && cargo build -q)
    (cd "$SPLITFD_TOP/contrib/examples/go" && go build -o "$SCRATCH/go-to-tar" .)
    make -s -C "$SPLITFD_TOP" install DESTDIR="$DEST" prefix=/usr > /dev/null
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    repo_init "$PULLED"
    store_pull 0 "$PULLED" "$STORE" localhost/small small
    store_diff_ids "$STORE" localhost/small:latest > "$SCRATCH/ids"
}
teardown_file() { scratch_drop; }
setup() {
    from_store=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay localhost/small)
    rust=$CARGO_TARGET_DIR/debug
}

tar_is() { # DIFFID, the tar on stdin
    assert_same "${1#sha256:}" "$(sha256sum | cut -d' ' -f1)"
}

@test "Python, standard library only" {
    while read -r d; do
        "$SPLITFD_TOP/contrib/examples/python/splitfd-to-tar.py" --splitfd "$BUILD/splitfd" "${from_store[@]}" "$d" | tar_is "$d"
    done < "$SCRATCH/ids"
}
@test "Go, standard library only" {
    while read -r d; do "$SCRATCH/go-to-tar" "$BUILD/splitfd" "${from_store[@]}" "$d" | tar_is "$d"; done < "$SCRATCH/ids"
    d=$(head -n 1 "$SCRATCH/ids")
    "$SCRATCH/go-to-tar" "$BUILD/splitfd" --inline-max=0 "${from_store[@]}" "$d" | tar_is "$d"
}
@test "Rust" {
    while read -r d; do
        "$WIRE" "$BUILD/splitfd" get-layer --fds=@FDS@ "${from_store[@]}" "$d" -- "$rust/splitfd-to-tar" @FDS@ | tar_is "$d"
    done < "$SCRATCH/ids"
}
# The reader's rules, as the readers of three languages keep them.
@test "Rust refuses descriptors and prefixes that are wrong" {
    local case
    for case in directory device fifo socket write-only o-path missing extra skipped repeated index-2-to-the-32 \
        minimum over-the-limit half-a-prefix; do
        run timeout 20 "$LIB/wire-bad.py" $case "$rust/splitfd-to-tar" @FDS@
        echo "$case -> $status"
        [ "$status" -eq 1 ]
    done
    "$LIB/wire-bad.py" good "$rust/splitfd-to-tar" @FDS@ | tar_is "$("$LIB/wire-bad.py" diffid)"
}
@test "Go and Python refuse prefixes that are wrong, and descriptors that do not come" {
    local bytes reader code hello='\373\377\377\377\377\377\377\377hello'
    printf '#!/bin/sh\nexec cat "%s"\n' "$SCRATCH/bytes" > "$SCRATCH/producer"
    chmod +x "$SCRATCH/producer"
    for bytes in "$hello" '\0\0\0\0\0\0\0\200' '\377\377\377\357\377\377\377\377' '\1\2\3' '\0\0\0\0\1\0\0\0' \
        '\0\0\0\0\0\0\0\0' '\1\0\0\0\0\0\0\0' "${hello%lo}"; do
        printf "$bytes" > "$SCRATCH/bytes"
        for reader in "$SCRATCH/go-to-tar" "$SPLITFD_TOP/contrib/examples/python/splitfd-to-tar.py --splitfd"; do
            code=0
            timeout 20 $reader "$SCRATCH/producer" some arguments > "$SCRATCH/read" 2> /dev/null || code=$?
            echo "$bytes, $reader -> $code"
            assert_same "$([ "$bytes" = "$hello" ] && echo 0 || echo 1)" $code
            [ $code -ne 0 ] || [ "$(cat "$SCRATCH/read")" = hello ]
        done
    done
}
@test "C, by the library: a layer is extracted by reflink" {
    local d out=$SCRATCH/x/out tar=$SCRATCH/x/tar
    d=$(head -n 1 "$SCRATCH/ids")
    export PKG_CONFIG_PATH=$DEST/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DEST
    cc -std=gnu11 -Wall -Wextra -Werror "$SPLITFD_TOP/contrib/examples/c/splitfd-extract.c" -o "$SCRATCH/extract" \
        $(pkg-config --cflags --libs splitfd) -Wl,-rpath,"$DEST/usr/lib"
    mkdir -p "$out" "$tar"
    "$WIRE" "$BUILD/splitfd" get-layer --fds=@FDS@ "${from_store[@]}" "$d" -- "$SCRATCH/extract" @FDS@ "$d" "$out" > "$SCRATCH/said"
    assert_match '^[1-9][0-9]* files cloned, 0 copied$' "$(cat "$SCRATCH/said")"
    splitfd get-layer --format=tar "${from_store[@]}" "$d" | tar -C "$tar" -xf - --no-same-owner
    # Devices are what the example leaves out.
    (cd "$tar" && find . \( -type f -o -type d -o -type l \) -printf '%p %y %m %l\n' | sort) > "$SCRATCH/a"
    (cd "$out" && find . \( -type f -o -type d -o -type l \) -printf '%p %y %m %l\n' | sort) > "$SCRATCH/b"
    sed -i '1{/^\. d/d}' "$SCRATCH/a" "$SCRATCH/b"
    assert_same "$(cat "$SCRATCH/a")" "$(cat "$SCRATCH/b")"
    (cd "$tar" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$SCRATCH/a"
    (cd "$out" && sha256sum --quiet -c "$SCRATCH/a")
    # Another diff_id is refused.
    rm -rf "$out"; mkdir "$out"
    run "$WIRE" "$BUILD/splitfd" get-layer --fds=@FDS@ "${from_store[@]}" "$d" -- "$SCRATCH/extract" @FDS@ "sha256:$(printf '0%.0s' {1..64})" "$out"
    [ "$status" -eq 4 ]
}
@test "the crate composefs-splitdirfdstream reads what we write" {
    while read -r d; do
        "$WIRE" "$BUILD/splitfd" get-layer --format=splitdirfdstream --fds=@FDS@ "${from_store[@]}" "$d" -- "$rust/wire-rust" tar @FDS@ | tar_is "$d"
    done < "$SCRATCH/ids"
}
@test "we read what the crate composefs-splitdirfdstream writes" {
    local d repo=$SCRATCH/x/repo
    repo_init "$repo"
    while read -r d; do
        python3 "$LIB/wire-relay.py" "$BUILD/splitfd" "$rust/wire-rust" "$repo" "$d" "${from_store[@]}"
        assert_same "$(readlink "$PULLED/streams/oci-layer-$d")" "$(readlink "$repo/streams/oci-layer-$d")"
    done < "$SCRATCH/ids"
}
