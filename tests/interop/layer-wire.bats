#!/usr/bin/env bats
# get-layer to import-layer, in all formats, over all kinds of channel, from all sources: the stored
# stream is always the one that pull makes, and cfsctl and the tars' readers agree.
load ../lib/common
load ../lib/store
load ../lib/repo

WIRE=$LIB/wire-pipe.py

setup_file() {
    require_interop
    require_program python3 bsdtar zstd xz bzip2
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export STORE=$SCRATCH/x/store PULLED=$SCRATCH/x/pulled
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    repo_init "$PULLED"
    store_pull 0 "$PULLED" "$STORE" localhost/small small
    store_diff_ids "$STORE" localhost/small:latest > "$SCRATCH/ids"
}
teardown_file() { scratch_drop; }

setup() {
    repo=$SCRATCH/x/r$BATS_TEST_NUMBER
    repo_init "$repo"
    from_store=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay localhost/small)
    from_repo=(--repo "$PULLED" composefs:small)
}
teardown() { rm -rf "$repo"; }

stream_of() { readlink "$1/streams/oci-layer-$2"; } # REPO DIFFID

# Each layer of small: OPTIONS of wire-pipe, "--", options of get-layer and IMAGE, "--", options of import-layer.
wire() {
    local wire=() get=() d
    while [ "$1" != -- ]; do wire+=("$1"); shift; done
    shift
    while [ "$1" != -- ]; do get+=("$1"); shift; done
    shift
    while read -r d; do
        "$WIRE" "${wire[@]}" "$BUILD/splitfd" get-layer "${get[@]}" "$d" -- \
            "$BUILD/splitfd" import-layer --repo "$repo" "$@" "$d" 3>&-
        assert_same "$(stream_of "$PULLED" "$d")" "$(stream_of "$repo" "$d")"
    done < "$SCRATCH/ids"
    cfs "$repo" fsck > /dev/null
}

@test "splitfdstream over a channel, SOCK_SEQPACKET, 64 files open on both sides" {
    wire --limit=64 -- --fds=@FDS@ "${from_store[@]}" -- --fds=@FDS@ --reflink=always
}
@test "splitfdstream over a channel, SOCK_STREAM" {
    wire --socket=stream -- --fds=@FDS@ "${from_store[@]}" -- --fds=@FDS@
}
@test "splitfdstream attached to a socket, SOCK_SEQPACKET, 64 files open on both sides" {
    wire --attached --limit=64 -- "${from_store[@]}" --
}
@test "splitfdstream attached to a socket, SOCK_STREAM" {
    wire --attached --socket=stream -- "${from_store[@]}" --
}
@test "splitfdstream, all files as descriptors" {
    wire -- --inline-max=0 --fds=@FDS@ "${from_store[@]}" -- --fds=@FDS@
}
@test "splitfdstream, files up to 4096 bytes inline" {
    wire -- --inline-max=4096 --fds=@FDS@ "${from_store[@]}" -- --fds=@FDS@
}
@test "splitfdstream, all inline: no socket at all" {
    wire -- --inline-max=268435456 "${from_store[@]}" --
}
@test "splitdirfdstream over a channel, 64 files open on both sides" {
    wire --limit=64 -- --format=splitdirfdstream --fds=@FDS@ "${from_store[@]}" -- --format=splitdirfdstream --fds=@FDS@
}
@test "splitdirfdstream attached, the reader opens everything" {
    wire --attached -- --format=splitdirfdstream --reads-all "${from_store[@]}" -- --format=splitdirfdstream --reflink=always
}
@test "tar" {
    wire -- --format=tar "${from_store[@]}" -- --format=tar
}
@test "tar, moved by the kernel" {
    wire -- --format=tar --no-verify "${from_store[@]}" -- --format=tar
}
@test "from a repository: splitfdstream" {
    wire -- --fds=@FDS@ "${from_repo[@]}" -- --fds=@FDS@ --reflink=always
}
@test "from a repository: splitdirfdstream" {
    wire -- --format=splitdirfdstream --fds=@FDS@ "${from_repo[@]}" -- --format=splitdirfdstream --fds=@FDS@ --reflink=always
}
@test "from a repository: tar" {
    wire -- --format=tar "${from_repo[@]}" -- --format=tar
}

@test "from a tar on standard input, plain and compressed, in all formats" {
    local d pack format r
    d=$(tail -n 1 "$SCRATCH/ids")
    splitfd get-layer --format=tar "${from_store[@]}" "$d" > "$SCRATCH/layer.tar"
    assert_same "${d#sha256:}" "$(sha256sum < "$SCRATCH/layer.tar" | cut -d' ' -f1)"
    for pack in cat gzip zstd xz bzip2; do
        $pack < "$SCRATCH/layer.tar" > "$SCRATCH/packed"
        for format in splitfdstream splitdirfdstream tar; do
            r=$SCRATCH/x/t
            repo_init "$r"
            "$WIRE" bash -c "exec '$BUILD/splitfd' get-layer --format=$format --fds=@FDS@ tar:- < '$SCRATCH/packed'" -- \
                "$BUILD/splitfd" import-layer --format=$format --fds=@FDS@ --repo "$r" "$d" 3>&-
            assert_same "$(stream_of "$PULLED" "$d")" "$(stream_of "$r" "$d")"
            rm -rf "$r"
        done
        "$BUILD/splitfd" import-layer --format=tar --repo "$repo" "$d" < "$SCRATCH/packed"
    done
    assert_same "$(stream_of "$PULLED" "$d")" "$(stream_of "$repo" "$d")"
}

@test "into the caller's objects directory: a splitstream, byte for byte the repository's" {
    local d n=0 fd
    mkdir -p "$repo/objects"
    exec {fd}< "$repo/objects"
    while read -r d; do
        splitfd get-layer --objects=$fd "${from_store[@]}" "$d" > "$SCRATCH/stream"
        cmp "$SCRATCH/stream" "$PULLED/streams/oci-layer-$d"
        "$BUILD/splitfd" import-layer --format=splitstream --repo "$repo" "$d" < "$SCRATCH/stream"
        assert_same "$(stream_of "$PULLED" "$d")" "$(stream_of "$repo" "$d")"
        n=$((n + 1))
    done < "$SCRATCH/ids"
    exec {fd}<&-
    [ "$n" -eq 3 ]
    cfs "$repo" fsck > /dev/null
}

@test "by the manifest's digest and by index: the same layer" {
    local digest i=0 d
    while read -r d; do
        assert_same "${d#sha256:}" "$(splitfd get-layer --format=tar "${from_store[@]}" $i | sha256sum | cut -d' ' -f1)"
        digest=$(splitfd inspect --repo "$PULLED" small --manifest | jq -r ".layers[$i].digest")
        assert_same "${d#sha256:}" "$(splitfd get-layer --format=tar "${from_repo[@]}" "$digest" | sha256sum | cut -d' ' -f1)"
        assert_same "${d#sha256:}" "$(splitfd get-layer --format=tar "${from_store[@]}" "$digest" | sha256sum | cut -d' ' -f1)"
        i=$((i + 1))
    done < "$SCRATCH/ids"
    run_splitfd 3 get-layer --format=tar "${from_store[@]}" 3
    run_splitfd 3 get-layer --format=tar "${from_store[@]}" "sha256:$(printf '0%.0s' {1..64})"
}

@test "all: every layer, framed" {
    splitfd get-layer --format=tar "${from_store[@]}" all | python3 -c '
import hashlib, struct, sys
def frame():
    n, = struct.unpack("<I", sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(n)
while name := frame():
    h = hashlib.sha256()
    while part := frame(): h.update(part)
    assert name.decode() == "sha256:" + h.hexdigest(), name
    print(name.decode())
assert sys.stdin.buffer.read() == b""
' > "$SCRATCH/all"
    assert_same "$(cat "$SCRATCH/ids")" "$(cat "$SCRATCH/all")"
}

@test "cfsctl, tar and bsdtar read the tar" {
    local d
    while read -r d; do
        splitfd get-layer --format=tar "${from_store[@]}" "$d" | cfs "$repo" oci import-layer "$d" > /dev/null
        splitfd get-layer --format=tar "${from_store[@]}" "$d" | tar -tf - | sort > "$SCRATCH/names"
        [ -s "$SCRATCH/names" ]
        # bsdtar lists a name that is no UTF-8, but complains of it.
        "$BUILD/splitfd" get-layer --format=tar "${from_store[@]}" "$d" |
            { LC_ALL=C.UTF-8 bsdtar -tf - 2> "$SCRATCH/complaints" || true; } > "$SCRATCH/listed"
        assert_same "$(wc -l < "$SCRATCH/names")" "$(wc -l < "$SCRATCH/listed")"
        refute grep -vE "can't be converted|Error exit delayed" "$SCRATCH/complaints"
        assert_same "${d#sha256:}" "$(cfs "$repo" oci layer "$d" | sha256sum | cut -d' ' -f1)"
        # Ours afterwards: cfsctl's stream is adopted, not replaced.
        before=$(stream_of "$repo" "$d")
        splitfd get-layer --format=tar "${from_store[@]}" "$d" |
            "$BUILD/splitfd" import-layer --format=tar --repo "$repo" "$d" | grep -q 'already present'
        assert_same "$before" "$(stream_of "$repo" "$d")"
    done < "$SCRATCH/ids"
}

@test "a wrong diff_id leaves nothing behind, and the statistics say what was done" {
    local d bad
    d=$(tail -n 1 "$SCRATCH/ids")
    bad=sha256:$(printf 'a%.0s' {1..64})
    splitfd get-layer --format=tar "${from_store[@]}" "$d" > "$SCRATCH/layer.tar"
    run timeout 60 "$BUILD/splitfd" import-layer --format=tar --repo "$repo" $bad < "$SCRATCH/layer.tar"
    [ "$status" -eq 4 ]
    assert_match "${d#sha256:}" "$output"
    [ ! -e "$repo/streams/oci-layer-$bad" ] && [ ! -L "$repo/streams/oci-layer-$bad" ]
    "$BUILD/splitfd" import-layer --json --format=tar --repo "$repo" "$d" < "$SCRATCH/layer.tar" > "$SCRATCH/json"
    assert_same "$d false" "$(jq -r '"\(.diff_id) \(.already_present)"' "$SCRATCH/json")"
    [ "$(jq '.stats.objects_copied + .stats.objects_reflinked + .stats.objects_already_present' "$SCRATCH/json")" -gt 0 ]
    # Present, but the stream is another: refused all the same.
    head -c 2048 "$SCRATCH/layer.tar" > "$SCRATCH/short.tar"
    run timeout 60 "$BUILD/splitfd" import-layer --format=tar --repo "$repo" "$d" < "$SCRATCH/short.tar"
    [ "$status" -eq 4 ]
}
