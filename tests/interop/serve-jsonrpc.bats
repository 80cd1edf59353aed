#!/usr/bin/env bats
# The JSON-RPC dialect proposed for container-libs: clients on the Rust crate jsonrpc-fdpass and on Go's
# own library, that crate as a service, and peers that break the rules.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop
    require_program python3 go cargo
    scratch_make
    fs_make xfs "$SCRATCH/x" 6G
    export STORE=$SCRATCH/x/store SOCKET=$SCRATCH/socket GOCACHE=$SPLITFD_CACHE/gocache
    export CARGO_TARGET_DIR=$SPLITFD_CACHE/cargo-target
    (cd "$SPLITFD_TOP/tests/interop/jsonrpc-rust" && cargo build -q)
    (cd "$SPLITFD_TOP/tests/interop/jsonrpc-go" && go build -o "$SCRATCH/jsonrpc-go" .)
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    store_diff_ids "$STORE" localhost/small:latest | sed 's/.*/& &/' > "$SCRATCH/layers"
    serve "$SOCKET" --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}
teardown_file() {
    local pid
    for pid in "$SCRATCH"/*.pid; do kill "$(cat "$pid")" 2> /dev/null || true; done
    scratch_drop
}
setup() { rust=$CARGO_TARGET_DIR/debug/jsonrpc-rust; }

# serve SOCKET OPTION…: in the background, until the end of the file.
serve() {
    local socket=$1 i
    shift
    ${SPLITFD_RUN:-} "$BUILD/splitfd" serve --protocol=jsonrpc --socket "$socket" "$@" 2> "$socket.log" 3>&- &
    echo $! > "$socket.pid"
    for i in $(seq 200); do [ ! -S "$socket" ] || return 0; sleep 0.05; done
    cat "$socket.log"
    return 1
}
# pull_from CODE SOCKET REPO [OPTION…]: the image small, as small.
pull_from() {
    local code=$1 socket=$2 repo=$3
    shift 3
    run_splitfd "$code" pull --repo "$repo" "$@" "jsonrpc:$socket#localhost/small" small
}

@test "a client on the crate jsonrpc-fdpass gets the exact layers" {
    (ulimit -n 16384 && "$rust" layers "$SOCKET" localhost/small) > "$SCRATCH/rust"
    assert_same "$(cat "$SCRATCH/layers")" "$(cat "$SCRATCH/rust")"
}
@test "a Go client gets the exact layers, with few descriptors open" {
    (ulimit -n 64 && "$SCRATCH/jsonrpc-go" "$SOCKET" localhost/small) > "$SCRATCH/go"
    assert_same "$(cat "$SCRATCH/layers")" "$(cat "$SCRATCH/go")"
}
@test "errors as the crate sees them" {
    local layer
    call() { "$rust" call "$SOCKET" "$@" | jq -c '[.answer.error.code, .answer.error.data.kind, .descriptors]'; }
    assert_same '[-32601,null,0]' "$(call Nope '{}')"
    assert_same '[-32602,null,0]' "$(call GetImage '[]')"
    assert_same '[-32000,"not-found",0]' "$(call GetImage '{"imageId":"nope"}')"
    assert_same '[-32000,"not-found",0]' "$(call GetSplitFDStream '{"layerId":"nope"}')"
    layer=$(store_layer_ids "$STORE" "$(head -n 1 "$SCRATCH/layers" | cut -d' ' -f1)")
    assert_same '[-32000,null,0]' "$(call GetSplitFDStream "{\"layerId\":\"$layer\",\"parentId\":\"$layer\"}")"
}
# bats test_tags=asan, tsan
@test "pull jsonrpc: is pull from the store: the same streams, extents shared, cfsctl accepts it" {
    local a=$SCRATCH/x/a b=$SCRATCH/x/b
    repo_init "$a"
    repo_init "$b"
    store_pull 0 "$a" "$STORE" localhost/small small
    pull_from 0 "$SOCKET" "$b"
    [ "$(objects_number copied)" -eq 0 ]
    assert_same_streams exact "$b" small "$a"
    assert_same "$(ls "$a/images")" "$(ls "$b/images")"
    assert_extents_shared "$b" small "$STORE"
    assert_cfsctl_accepts "$b" small
    # Once more: nothing is fetched.
    pull_from 0 "$SOCKET" "$b"
    assert_match '^objects +0 reflinked|^objects +0 new' "$(grep '^objects' <<< "$output")"
}
# bats test_tags=asan
@test "service and client under ulimit -n 64" {
    local repo=$SCRATCH/x/low
    repo_init "$repo"
    SPLITFD_RUN="prlimit --nofile=64:64" serve "$SCRATCH/low" --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
    SPLITFD_RUN="prlimit --nofile=64:64" pull_from 0 "$SCRATCH/low" "$repo"
    assert_fsck_clean "$repo"
}
@test "pull from a service on the crate jsonrpc-fdpass, which sends larger batches" {
    local repo=$SCRATCH/x/relay
    repo_init "$repo"
    (ulimit -n 16384 && exec "$rust" relay "$SCRATCH/relay" "$SOCKET") 2> "$SCRATCH/relay.log" 3>&- &
    echo $! > "$SCRATCH/relay.pid"
    for _ in $(seq 200); do [ ! -S "$SCRATCH/relay" ] || break; sleep 0.05; done
    pull_from 0 "$SCRATCH/relay" "$repo"
    assert_fsck_clean "$repo"
    assert_layers_exact "$repo" small
}
@test "an image by digest, ID and as docker's schema; a vfs store" {
    local spec vfs=$SCRATCH/x/vfs repo=$SCRATCH/x/names digest id name
    repo_init "$repo"
    spec=$(store_spec "$vfs" vfs)
    store_make "$vfs"
    skopeo copy -q --insecure-policy --format v2s2 "containers-storage:$(store_spec "$STORE")localhost/small" \
        "containers-storage:${spec}localhost/docker"
    serve "$SCRATCH/vfs" --root "$vfs/root" --runroot "$vfs/run" --storage-driver vfs
    run_splitfd 0 pull --repo "$repo" "jsonrpc:$SCRATCH/vfs#localhost/docker" docker
    assert_fsck_clean "$repo"
    assert_layers_exact "$repo" docker
    id=$(store_image_id "$STORE" localhost/small:latest)
    digest=$(jq -r --arg i "$id" '.[] | select(.id == $i).digest' "$STORE/root/overlay-images/images.json")
    for name in "$id" "localhost/small@$digest"; do
        run_splitfd 0 pull --repo "$repo" "jsonrpc:$SOCKET#$name" named
    done
}
@test "what cannot be pulled" {
    local repo=$SCRATCH/x/refused
    repo_init "$repo"
    run_splitfd 3 pull --repo "$repo" "jsonrpc:$SOCKET#localhost/nope"
    run_splitfd 3 pull --repo "$repo" "jsonrpc:$SCRATCH/nothing#localhost/small"
    run_splitfd 2 pull --repo "$repo" "jsonrpc:$SOCKET"
    run_splitfd 2 pull --repo "$repo" "jsonrpc:#localhost/small"
    run_splitfd 2 pull --repo "$repo" "jsonrpc:$SOCKET#"
    run_splitfd 2 serve --protocol=jsonrpc --socket "$SCRATCH/refused" --repo "$repo"
    assert_nothing_visible "$repo"
}
@test "another user is turned away and told so, unless told otherwise" {
    local store=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay)
    chmod 0711 "$SCRATCH"
    serve "$SCRATCH/others" --allow-uid 12345 "${store[@]}"
    serve "$SCRATCH/any" --allow-any "${store[@]}"
    cp "$rust" "$SCRATCH/client"
    as() { setpriv --reuid="$1" --regid=65534 --clear-groups "$SCRATCH/client" call "$2" GetImage '{"imageId":"nope"}' 2>&1; }
    python3 - "$SCRATCH/others" << X
import os, socket, sys
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
assert b'"code":-32000' in s.recv(1000)
assert s.recv(1) == b""
X
    assert_match '"not-found"' "$(as 12345 "$SCRATCH/others")"
    assert_match '"not-found"' "$(as 65534 "$SCRATCH/any")"
}
# bats test_tags=asan
@test "a service that lies is found out, and nothing becomes visible" {
    local repo=$SCRATCH/x/lied lie code
    repo_init "$repo"
    while read -r lie code; do
        python3 "$LIB/jsonrpc-liar.py" "$SCRATCH/liar-$lie" "$SOCKET" "$lie" 3>&- &
        echo $! > "$SCRATCH/liar-$lie.pid"
        for _ in $(seq 200); do [ ! -S "$SCRATCH/liar-$lie" ] || break; sleep 0.05; done
        echo "lie: $lie"
        pull_from "$code" "$SCRATCH/liar-$lie" "$repo" --timeout 3
        [ "$lie" != content ] || assert_match "not exactly the layer's tar .*pull request 651" "$errors"
        assert_nothing_visible "$repo"
    done << X
manifest 4
config 4
order 4
less-layers 4
content 4
swap 4
one-fd-less 4
one-fd-more 4
fifo 4
write-only 4
size 4
no-size 4
stream 4
prefix 4
index 4
no-answer 1
other-id 4
error-text 1
closes 1
X
    python3 "$LIB/jsonrpc-liar.py" "$SCRATCH/liar-none" "$SOCKET" none 3>&- &
    echo $! > "$SCRATCH/liar-none.pid"
    for _ in $(seq 200); do [ ! -S "$SCRATCH/liar-none" ] || break; sleep 0.05; done
    pull_from 0 "$SCRATCH/liar-none" "$repo"
}
# bats test_tags=asan, tsan
@test "hostile clients: bounded, answered, and the service lives on" {
    python3 "$LIB/jsonrpc-hostile.py" "$SCRATCH/hostile" localhost/small "$BUILD/splitfd" serve --protocol=jsonrpc \
        --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}
# bats test_tags=asan, tsan
@test "a thousand silent clients make room for one that wants something" {
    serve "$SCRATCH/crowd" --max-clients 20 --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
    python3 "$LIB/serve-crowd.py" "$SCRATCH/crowd" "$(cat "$SCRATCH/crowd.pid")" jsonrpc localhost/small
}
