#!/usr/bin/env bats
# The varlink service against real peers: cfsctl's service as the other end and as the model, varlinkctl,
# podman's store. A client on zlink: serve-varlink-rust.bats.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

setup_file() {
    require_interop
    require_program python3
    scratch_make
    export STORE=$SCRATCH/store REPO=$SCRATCH/repo
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    store_diff_ids "$STORE" localhost/small:latest > "$SCRATCH/ids"
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/small small
}
teardown_file() { scratch_drop; }

setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
}
teardown() { stop_services; }

# bats test_tags=asan
@test "a store's layers into a repository by cfsctl's service; both answer alike" {
    local other=$SCRATCH/other
    repo_init "$other"
    serve_store "$SCRATCH/s"
    serve_cfsctl "$SCRATCH/c$BATS_TEST_NUMBER"
    "$LIB/varlink-store.py" "$SCRATCH/s" "$SCRATCH/c$BATS_TEST_NUMBER" "$STORE/root" "$other" localhost/small
    stop_services
    GARBAGE_OK=1 assert_cfsctl_accepts "$other" sent
    assert_same "$(cfs "$REPO" oci compute-id small)" "$(cfs "$other" oci compute-id sent)"
    rm -rf "$other"
}

# bats test_tags=asan, tsan
@test "OpenVarlinkSocket of the image proxy" {
    "$LIB/varlink-proxy.py" "$BUILD/splitfd" "$(store_spec "$STORE")" localhost/small "$("$LIB/images" small)" \
        "$BATS_TEST_TMPDIR" $(cat "$SCRATCH/ids") 3>&- 4>&-
}

# bats test_tags=asan, tsan
@test "a repository's service and cfsctl's: PutLayer, FinalizeImage, and the same answers" {
    local other=$SCRATCH/other
    repo_init "$other"
    serve "$SCRATCH/s" --repo "$other"
    serve_cfsctl "$SCRATCH/c$BATS_TEST_NUMBER"
    "$LIB/varlink-repo.py" "$SCRATCH/s" "$other" "$SCRATCH/c$BATS_TEST_NUMBER" "$REPO" small
    stop_services
    [ ! -e "$SCRATCH/s" ]
    assert_cfsctl_accepts "$other" small
    assert_same "$(cd "$REPO" && find streams -type l -printf '%p %l\n' | sort)" \
        "$(cd "$other" && find streams -type l -printf '%p %l\n' | sort)"
    rm -rf "$other"
}

@test "a repository that is not there yet: InitRepository, as cfsctl's" {
    local kind
    serve "$SCRATCH/sock-ours" --repo "$SCRATCH/new-ours"
    serve_cfsctl "$SCRATCH/sock-cfsctl"
    for kind in ours cfsctl; do
        python3 - "$LIB" "$SCRATCH/sock-$kind" "$SCRATCH/new-$kind" > "$SCRATCH/said-$kind" << 'X'
import sys
sys.path.insert(0, sys.argv[1])
from varlink_client import Connection
def say(method, **parameters):
    c = Connection(sys.argv[2])
    reply, _ = c.call("org.composefs.Repository." + method, {"path": sys.argv[3], **parameters})
    result = reply.get("error") or {k: v for k, v in reply["parameters"].items() if k != "handle"}
    print(method, parameters, result)
    c.close()
for method, parameters in (("OpenRepository", {}), ("InitRepository", {"algorithm": "x"}),
                           ("InitRepository", {"algorithm": "fsverity-sha256-12", "insecure": True}), ("OpenRepository", {}),
                           ("InitRepository", {"algorithm": "fsverity-sha256-12", "insecure": True}),
                           ("InitRepository", {"algorithm": "fsverity-sha256-12"}), ("InitRepository", {}),
                           ("OpenRepository", {"user": False}), ("OpenRepository", {"system": True})):
    say(method, **parameters)
X
    done
    assert_match "'created': True" "$(cat "$SCRATCH/said-ours")"
    assert_same "$(cat "$SCRATCH/said-cfsctl")" "$(cat "$SCRATCH/said-ours")"
    cfs "$SCRATCH/new-ours" fsck > /dev/null
}

@test "handles, InitRepository and EnsureRepository: as cfsctl's, over connections" {
    local kind
    serve "$SCRATCH/handles-ours" --repo "$SCRATCH/handles/ours"
    serve_cfsctl "$SCRATCH/handles-cfsctl"
    for kind in ours cfsctl; do
        "$LIB/varlink-handles.py" "$SCRATCH/handles-$kind" "$SCRATCH/handles/$kind" > "$SCRATCH/handles-said-$kind"
    done
    assert_match "'status': 'Opened'" "$(cat "$SCRATCH/handles-said-ours")"
    assert_same "$(cat "$SCRATCH/handles-said-cfsctl")" "$(cat "$SCRATCH/handles-said-ours")"
}

@test "varlinkctl: info, introspection, calls, errors" {
    require_newer
    local s=$SCRATCH/s out
    serve_store "$s"
    "$LIB/newer" varlinkctl info "$s" | grep -q 'Product: splitfd'
    out=$("$LIB/newer" varlinkctl introspect "$s" org.composefs.Oci)
    assert_match 'method GetLayer' "$out"
    "$LIB/newer" varlinkctl introspect "$s" org.varlink.service > /dev/null
    out=$("$LIB/newer" varlinkctl --json=short call "$s" org.composefs.Oci.ListImages '{"handle":0}')
    assert_same localhost/small:latest "$(jq -r '.images[].name' <<< "$out")"
    out=$("$LIB/newer" varlinkctl call "$s" org.composefs.Oci.Nothing '{}' 2>&1) && { echo "no error: $out"; return 1; }
    # ENXIO is what it makes of MethodNotFound.
    assert_match 'No such device or address' "$out"
    stop_services
    serve "$s" --repo "$REPO"
    for i in org.composefs.Oci org.composefs.Repository; do "$LIB/newer" varlinkctl introspect "$s" $i > /dev/null; done
    out=$("$LIB/newer" varlinkctl --json=short call "$s" org.composefs.Repository.OpenRepository "{\"path\":\"$REPO\"}")
    assert_same 1 "$(jq .handle <<< "$out")"
}

# bats test_tags=asan, tsan
@test "clients that do not keep the rules: bounded, an error where there is one, and the service lives on" {
    serve_store "$SCRATCH/h" --timeout 2 --hold 2 --max-clients 40 --max-layers 8
    "$LIB/varlink-hostile.py" "$SCRATCH/h" "${pids[0]}" "$(head -n 1 "$SCRATCH/ids")" 3>&- 4>&-
}
# bats test_tags=asan, tsan
@test "the same at a repository's service; what it was sent makes nothing visible" {
    local names
    names=$(repo_visible "$REPO")
    serve "$SCRATCH/h" --repo "$REPO" --timeout 2 --hold 2 --max-clients 40 --max-layers 8
    "$LIB/varlink-hostile.py" "$SCRATCH/h" "${pids[0]}" "$(head -n 1 "$SCRATCH/ids")" "$REPO" 3>&- 4>&-
    assert_same "$names" "$(repo_visible "$REPO")"
}

# bats test_tags=asan, tsan
@test "a thousand silent clients make room for one that wants something; layers stay under way" {
    local id
    id=$(head -n 1 "$SCRATCH/ids")
    serve_store "$SCRATCH/crowd" --max-clients 20
    "$LIB/serve-crowd.py" "$SCRATCH/crowd" "${pids[0]}" varlink "$id" 3>&- 4>&-
    stop_services
    serve "$SCRATCH/crowd" --repo "$REPO" --max-clients 20
    "$LIB/serve-crowd.py" "$SCRATCH/crowd" "${pids[0]}" varlink "$id" "$REPO" 3>&- 4>&-
}

# bats test_tags=asan
@test "sockets of systemd's, inherited ones and a path; signals; who may call" {
    mkdir "$SCRATCH/d"
    chmod 755 "$SCRATCH"
    "$LIB/varlink-sockets.py" "$BUILD/splitfd" "$SCRATCH/d" 3>&- 4>&-
}
