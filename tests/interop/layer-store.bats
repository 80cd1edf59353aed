#!/usr/bin/env bats
# Layers of an additional layer store: skopeo 1.9.3 makes their records (a newer one does for layers with a table of
# contents), both suites read them from the store's `blob`. The store is a plain directory here, laid out as the
# stargz snapshotter's file system is.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/registry
load ../lib/proxy

setup_file() {
    require_interop || return 0
    require_newer || return 0
    require_program docker-registry || return 0
    scratch_make
    proxy_programs
    two_tars
    python3 "$LIB/make-layout.py" "$SCRATCH/layout" small "gzip:$SCRATCH/base.tar" "zstd:$SCRATCH/top.tar" > "$SCRATCH/digests"
    export ALS=$SCRATCH/als STORE=$SCRATCH/store CONF=$SCRATCH/storage.conf registry registry_pid
    store_make "$STORE"
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n[storage.options]\nadditionallayerstores = ["%s:ref"]\n' \
        "$STORE/root" "$STORE/run" "$ALS" > "$CONF"
    BATS_TEST_TMPDIR=$SCRATCH registry_start "$SCRATCH/registry"
    skopeo copy -q --insecure-policy --dest-tls-verify=false "oci:$SCRATCH/layout:small" "docker://$registry/a/b:small"
    local diff_id blob layer ref
    ref=$(printf '%s/a/b:small' "$registry" | base64 -w 0)
    while read -r diff_id blob; do
        layer=$ALS/$ref/$blob
        mkdir -p "$layer/diff"
        cp "$SCRATCH/layout/blobs/sha256/${blob#*:}" "$layer/blob"
        bsdcat "$layer/blob" > "$SCRATCH/tar" 2> /dev/null || zstd -qdc "$layer/blob" > "$SCRATCH/tar"
        tar -C "$layer/diff" -xf "$SCRATCH/tar"
        jq -n --arg b "$blob" --arg d "$diff_id" --argjson s "$(stat -c %s "$layer/blob")" \
            --argjson u "$(stat -c %s "$SCRATCH/tar")" --argjson c "$(head -c 2 "$layer/blob" | od -An -tx1 | grep -q '1f 8b' && echo 2 || echo 4)" \
            '{"compressed-diff-digest": $b, "compressed-size": $s, "diff-digest": $d, "diff-size": $u, "compression": $c}' > "$layer/info"
    done < "$SCRATCH/digests"
    CONTAINERS_STORAGE_CONF=$CONF skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$registry/a/b:small" \
        containers-storage:localhost/small 2> /dev/null
    kill "$registry_pid"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    export CONTAINERS_STORAGE_CONF=$CONF
    repo=$BATS_TEST_TMPDIR/repo
    repo_init "$repo"
}
first_blob() { echo "$ALS"/*/"$(sed -n '1s/.* //p' "$SCRATCH/digests")/blob"; }

@test "the same image as from the registry, by each route" {
    local i diff_id theirs=$SCRATCH/theirs
    assert_same 2 "$(ls "$STORE"/root/overlay/*/additionallayer | wc -l)"
    assert_silent find "$STORE/root/overlay-layers" -name '*tar-split*'
    for suite in debian newer; do
        in_suite $suite env CONTAINERS_STORAGE_CONF="$CONF" skopeo copy -q --insecure-policy containers-storage:localhost/small \
            "dir:$BATS_TEST_TMPDIR/$suite" < /dev/null 2> /dev/null
    done
    repo_init "$theirs"
    splitfd pull --quiet --insecure-policy --repo "$theirs" "oci:$SCRATCH/layout:small" small > /dev/null
    run_splitfd 0 pull --repo "$repo" localhost/small small
    assert_cfsctl_accepts "$repo" small
    assert_same_streams exact "$repo" small "$theirs"
    assert_same "$(cfs "$theirs" oci compute-id small)" "$(cfs "$repo" oci compute-id small)"
    # With GetLayerSplitfd, and by a service of the store.
    repo_init "$repo.proxy"
    run_splitfd 0 pull --repo "$repo.proxy" --skopeo "$SCRATCH/bin-debian/skopeo" --insecure-policy \
        "containers-storage:$(store_spec "$STORE")localhost/small" small
    assert_same_streams exact "$repo.proxy" small "$theirs"
    i=0
    for diff_id in $(cut -d' ' -f1 "$SCRATCH/digests"); do
        for suite in debian newer; do
            assert_same "${diff_id#*:}" "$(sha256sum < "$BATS_TEST_TMPDIR/$suite/${diff_id#*:}" | cut -d' ' -f1)"
        done
        assert_same "${diff_id#*:}" "$(splitfd get-layer --format=tar localhost/small $i | sha256sum | cut -d' ' -f1)"
        repo_init "$BATS_TEST_TMPDIR/from-stream-$i"
        splitfd get-layer --format=splitdirfdstream localhost/small $i > "$BATS_TEST_TMPDIR/stream"
        splitfd import-layer --format=splitdirfdstream --repo "$BATS_TEST_TMPDIR/from-stream-$i" "$diff_id" \
            < "$BATS_TEST_TMPDIR/stream" > /dev/null
        i=$((i + 1))
    done
}

@test "the proxy: GetBlob as skopeo's" {
    python3 - "$SCRATCH/digests" -- $NEWER -- $OURS << 'X'
import json, os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import Proxy, sha256
layers = [line.split()[0] for line in open(sys.argv[1])]
rest = sys.argv[3:]
at = rest.index("--")
answers = []
for program in (rest[:at], rest[at + 1:]):
    p = Proxy(program + ["--insecure-policy"], stderr=open(os.devnull, "w"))
    image = p.open("containers-storage:localhost/small")
    info = p.piped("GetLayerInfoPiped", image)[0]
    blobs = [sha256(p.blob(image, layer["digest"], layer["size"])) for layer in json.loads(info)]
    assert blobs == layers, blobs
    answers.append((p.piped("GetManifest", image)[0], info))
    p.close()
assert answers[0] == answers[1]
X
}

@test "a blob of other content, a damaged one, none" {
    local blob
    blob=$(first_blob)
    cp "$blob" "$BATS_TEST_TMPDIR/whole"
    fails() { # CODE PATTERN
        run_splitfd "$1" pull --repo "$repo" localhost/small small && assert_match "$2" "$errors" &&
            assert_nothing_visible "$repo" && cp --remove-destination "$BATS_TEST_TMPDIR/whole" "$blob"
    }
    tar -C "$SCRATCH" -czf "$blob" layout/oci-layout
    fails 4 'the blob of its additional layer store gives [0-9]* bytes, the layer has'
    # Of the right size.
    zcat "$BATS_TEST_TMPDIR/whole" > "$BATS_TEST_TMPDIR/tar"
    printf x | dd of="$BATS_TEST_TMPDIR/tar" bs=1 seek=$(($(stat -c %s "$BATS_TEST_TMPDIR/tar") - 1)) conv=notrunc status=none
    gzip < "$BATS_TEST_TMPDIR/tar" > "$blob"
    fails 4 'the blob of its additional layer store is another layer, sha256:'
    truncate -s -100 "$blob"
    fails 4 'blob of its additional layer store'
    truncate -s 0 "$blob"
    fails 4 'gives 0 bytes'
    rm "$blob"
    mkfifo "$blob"
    fails 4 'blob, of its additional layer store, is not a regular file'
    rm "$blob"
    fails 1 'has no .*/blob; the program that serves the store has to run'
    run_splitfd 0 pull --repo "$repo" localhost/small small
}

@test "in the sandbox: only additional layer stores that storage.conf or --storage-opt names" {
    local store=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay)
    run_splitfd 0 pull --repo "$repo" "${store[@]}" --storage-opt "additionallayerstore=$ALS:ref" localhost/small small
    run_splitfd 0 get-layer --format=tar "${store[@]}" --no-sandbox localhost/small 0 > /dev/null
    run_splitfd 2 pull --repo "$repo" "${store[@]}" --storage-opt additionallayerstore=als localhost/small small
    assert_match "additional layer store 'als' is not an absolute path" "$errors"
}
