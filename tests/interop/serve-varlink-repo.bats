#!/usr/bin/env bats
# What a repository's service does by itself: Pull with its frames, and EROFS images by name, as cfsctl's
# service does them; clients that go away meanwhile.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/proxy
load ../lib/varlink

setup_file() {
    require_interop
    require_program python3 docker-registry
    scratch_make
    export STORE=$SCRATCH/store LAYOUT=$SCRATCH/layout:small
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    mkdir -p "$SCRATCH/tree/usr/share"
    for i in $(seq 150); do head -c $((i * 1000)) /dev/zero | tr '\0' "\\$((i % 64 + 100))" > "$SCRATCH/tree/usr/share/$i"; done
    tar --sort=name -C "$SCRATCH/tree" -c . | suite_podman debian "$STORE" -- import -q - localhost/plain
    cp -r "$("$LIB/images" small | sed 's/:small$//')" "$SCRATCH/layout"
    proxy_registry
    registry_push "oci:$LAYOUT" small
}
teardown_file() {
    registry_drop
    scratch_drop
}

setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
    # Socket names have a bound.
    S=$SCRATCH/s$BATS_TEST_NUMBER C=$SCRATCH/c$BATS_TEST_NUMBER A=$SCRATCH/a B=$SCRATCH/b
}
teardown() {
    stop_services
    rm -rf "$A" "$B"
}

# The image by both services into a repository each; what came of it is the same.
pull_both() { # REFERENCE [STOREROOT]
    echo "# $1"
    repo_init "$A"
    repo_init "$B"
    HOME=$SCRATCH/home serve "$S" --repo "$A"
    HOME=$SCRATCH/home serve_cfsctl "$C"
    "$LIB/varlink-pull.py" same "$S" "$A" "$C" "$B" "$@"
    stop_services
    rm -f "$C"
    assert_cfsctl_accepts "$A" image
    assert_same "$(cfs "$B" oci compute-id image)" "$(cfs "$A" oci compute-id image)"
    assert_same_streams content "$A" image "$B"
    rm -rf "$A" "$B"
}

# The small image is one that cfsctl does not read from a store by itself ("Unexpected EOF in splitstream").
# bats test_tags=tsan
@test "Pull of a store's image" {
    pull_both containers-storage:localhost/plain:latest "$STORE/root"
}

@test "Pull of oci:, oci-archive:, dir: and docker://" {
    skopeo copy -q --insecure-policy "oci:$LAYOUT" "oci-archive:$SCRATCH/oci.tar:small"
    skopeo copy -q --insecure-policy "oci:$LAYOUT" "dir:$SCRATCH/dir"
    pull_both "oci:$LAYOUT"
    pull_both "oci-archive:$SCRATCH/oci.tar:small"
    pull_both "dir:$SCRATCH/dir"
    pull_both "docker://127.0.0.1:$PORT/small:latest"
}

@test "Pull of what cfsctl cannot read: docker-archive:, varlink: and jsonrpc:, the service's own store" {
    skopeo copy -q --insecure-policy "oci:$LAYOUT" "docker-archive:$SCRATCH/docker.tar:small:latest"
    repo_init "$A"
    serve_store "$S" --repo "$A"
    serve_store "$S.store"
    serve_store "$S.json" --protocol=jsonrpc
    for from in "varlink:$S.store#localhost/small:latest" "jsonrpc:$S.json#localhost/small:latest" \
        "docker-archive:$SCRATCH/docker.tar:small:latest" localhost/small; do
        python3 - "$S" "$from" "$A" << 'PY'
import sys
sys.path.insert(0, "tests/lib")
from varlink_client import Connection
c = Connection(sys.argv[1], 300)
call = {"handle": c.open(sys.argv[3]), "image": sys.argv[2], "name": sys.argv[2], "local_fetch": "disabled", "bootable": False}
reply, _ = c.call("org.composefs.Oci.Pull", call)
assert list(reply["parameters"]) == ["completed"], reply
PY
    done
    stop_services
    assert_cfsctl_accepts "$A" "varlink:$S.store#localhost/small:latest"
    assert_cfsctl_accepts "$A" "docker-archive:$SCRATCH/docker.tar:small:latest"
    assert_same 4 "$(cfs "$A" oci images --json | jq '.images | length')"
}

# bats test_tags=tsan
@test "clients that go away end their pull, others are served; the service's end ends it too" {
    mkfifo "$SCRATCH/fifo"
    cp -r "$SCRATCH/layout" "$SCRATCH/broken"
    repo_init "$A"
    serve "$S" --repo "$A"
    "$LIB/varlink-pull.py" gone "$S" "${pids[0]}" "$A" "$SCRATCH/broken:small" "$SCRATCH/fifo" 3>&- 4>&-
    assert_cfsctl_accepts "$A" x
    coproc { "$LIB/varlink-pull.py" ending "$S" "$A" "$SCRATCH/fifo" 3>&- 4>&-; }
    local client=$COPROC_PID
    read -r line <&"${COPROC[0]}"
    assert_same waits "$line"
    kill "${pids[0]}"
    wait "${pids[0]}"
    wait "$client"
    pids=()
    rm "$SCRATCH/fifo"
}

@test "Pull is for root and the service's own user" {
    chmod 755 "$SCRATCH"
    repo_init "$A"
    serve "$S" --repo "$A" --allow-any
    "$LIB/varlink-pull.py" stranger "$S" "$A" 3>&- 4>&-
}

# Of a repository with this algorithm.
refs_both() { # ALGORITHM
    rm -rf "$A" "$C"
    cp -r "$SCRATCH/tree" "$BATS_TEST_TMPDIR/tree.$1"
    repo_init "$A" --algorithm "fsverity-$1-12"
    cfs "$A" create-image "$BATS_TEST_TMPDIR/tree.$1" one
    rm "$BATS_TEST_TMPDIR/tree.$1/usr/share/1"*
    cfs "$A" create-image "$BATS_TEST_TMPDIR/tree.$1" two
    store_pull 0 "$A" "$STORE" localhost/small small
    # As deep as somebody made them.
    mkdir -p "$A/images/refs/deep/er"
    ln -s "../../../$(basename "$(readlink "$A/images/refs/two")")" "$A/images/refs/deep/er/three"
    serve "$S" --repo "$A"
    serve_cfsctl "$C"
    "$LIB/varlink-refs.py" "$S" "$C" "$A" one two deep/er/three
    stop_services
}

@test "ImageObjects and ListImageRefs" {
    refs_both sha512
    refs_both sha256
}

@test "varlinkctl --more" {
    require_newer
    repo_init "$A"
    serve "$S" --repo "$A"
    local call out handle
    out=$("$LIB/newer" varlinkctl --json=short call "$S" org.composefs.Repository.OpenRepository "{\"path\":\"$A\"}" | tr -d '\036')
    handle=$(jq .handle <<< "$out")
    call=$(jq -nc --arg i "oci:$LAYOUT" --argjson h "$handle" '{handle: $h, image: $i, name: "v", local_fetch: "auto", bootable: false}')
    out=$("$LIB/newer" varlinkctl --json=short --more call "$S" org.composefs.Oci.Pull "$call" | tr -d '\036')
    assert_same "done message started" "$(jq -r 'keys[0]' <<< "$out" | sort -u | grep -v -e progress -e completed | xargs)"
    assert_same completed "$(tail -n 1 <<< "$out" | jq -r 'keys[0]')"
    assert_same 1 "$(grep -c completed <<< "$out")"
    out=$("$LIB/newer" varlinkctl --json=short call "$S" org.composefs.Oci.Pull "$call" | tr -d '\036')
    assert_same completed "$(jq -r 'keys[0]' <<< "$out")"
    out=$("$LIB/newer" varlinkctl --json=short call "$S" org.composefs.Repository.ListImageRefs "{\"handle\":$handle}")
    assert_same '{"images":[]}' "$(tr -d '\036' <<< "$out")"
    call=$(jq -nc --arg n "$(ls "$A/images" | head -n 1)" --argjson h "$handle" '{handle: $h, name: $n}')
    out=$("$LIB/newer" varlinkctl --json=short call "$S" org.composefs.Repository.ImageObjects "$call" | tr -d '\036')
    [ "$(jq '.object_ids | length' <<< "$out")" -gt 1000 ]
    stop_services
    assert_cfsctl_accepts "$A" v
}
