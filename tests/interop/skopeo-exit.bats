#!/usr/bin/env bats
# Exit codes of what skopeo reports: 3 for what is not there, 4 for damage and the policy, 1 for all else. Of both
# suites: the protocol has no code for it.

load ../lib/common
load ../lib/repo
load ../lib/registry

setup_file() {
    require_interop || return 0
    require_newer || return 0
    scratch_make
    export IMAGE=$SCRATCH/image
    mkdir "$SCRATCH/tree"
    head -c 20000 /dev/urandom > "$SCRATCH/tree/file"
    tar -C "$SCRATCH/tree" --sort=name -cf "$SCRATCH/layer.tar" .
    python3 "$LIB/make-layout.py" "$IMAGE/oci" small "gzip:$SCRATCH/layer.tar" > /dev/null
    mkdir "$IMAGE/dir"
    for to in "dir:$IMAGE/dir" "oci-archive:$IMAGE/oci.tar:small" "docker-archive:$IMAGE/docker.tar:name:small"; do
        skopeo copy -q --insecure-policy "oci:$IMAGE/oci:small" "$to"
    done
    : > "$IMAGE/empty"
    printf '#!/bin/sh\nexec "%s" skopeo "$@"\n' "$LIB/newer" > "$SCRATCH/newer"
    chmod +x "$SCRATCH/newer"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$BATS_TEST_TMPDIR/repo work=$BATS_TEST_TMPDIR/work
    repo_init "$repo"
    manifest=$(jq -r '.manifests[0].digest[7:]' "$IMAGE/oci/index.json")
    config=$(jq -r '.config.digest[7:]' "$IMAGE/oci/blobs/sha256/$manifest")
    layer=$(jq -r '.layers[0].digest[7:]' "$IMAGE/oci/blobs/sha256/$manifest")
}
teardown() { [ -z "${registry_pid:-}" ] || kill "$registry_pid"; }

# Both skopeos, one line, nothing to be seen in the repository.
ends() { # CODE REFERENCE [OPTION…]
    local code=$1 reference=$2 skopeo
    shift 2
    for skopeo in skopeo "$SCRATCH/newer"; do
        SPLITFD_SKOPEO=$skopeo run_splitfd "$code" pull --repo "$repo" "${@:---insecure-policy}" "$reference" x || return 1
        assert_same 1 "$(wc -l <<< "$errors")" && assert_nothing_visible "$repo" || return 1
    done
}
fresh() { rm -rf "$work" && cp -r "$IMAGE" "$work"; }
spoil() { # FILE…: a byte that no parser misses, a cut, nothing
    case $1 in
    byte) printf '\1' | dd of="$2" bs=1 seek=12 conv=notrunc status=none ;;
    cut) truncate -s 30 "$2" ;;
    empty) truncate -s 0 "$2" ;;
    esac
}

@test "what is not there: 3" {
    fresh
    for reference in "oci:$work/none:x" "oci:$work/oci:none" "oci:$work" "dir:$work/none" "dir:$work" \
        "oci-archive:$work/none.tar:x" "oci-archive:$work/oci.tar:none" "docker-archive:$work/none.tar:x" \
        "docker-archive:$work/docker.tar:name:none" "docker-archive:$work/docker.tar:@7"; do
        ends 3 "$reference"
    done
    ln -s none "$work/link"
    ends 3 "oci:$work/link"
    ends 3 "dir:$work/link"
}

@test "a file of the image is not there: 3" {
    for file in "$manifest" "$config" "$layer"; do
        fresh
        rm "$work/oci/blobs/sha256/$file"
        ends 3 "oci:$work/oci:small"
    done
    for file in manifest.json "$config" "$layer"; do
        fresh
        rm "$work/dir/$file"
        ends 3 "dir:$work/dir"
    done
}

@test "damage: 4" {
    for how in byte cut empty; do
        for file in "blobs/sha256/$manifest" "blobs/sha256/$config" "blobs/sha256/$layer" index.json; do
            fresh
            spoil $how "$work/oci/$file"
            ends 4 "oci:$work/oci:small"
        done
        for file in manifest.json "$config" "$layer"; do
            fresh
            spoil $how "$work/dir/$file"
            ends 4 "dir:$work/dir"
        done
    done
    fresh
    for n in 700 9000; do
        truncate -s $n "$work/oci.tar" "$work/docker.tar"
        ends 4 "oci-archive:$work/oci.tar:small"
        ends 4 "docker-archive:$work/docker.tar:name:small"
    done
    for file in empty oci/index.json; do
        ends 4 "oci-archive:$work/$file:small"
        ends 4 "docker-archive:$work/$file:name:small"
    done
}

@test "a registry: 3, 4, and 1 where it is not there itself" {
    local blobs=$BATS_TEST_TMPDIR/registry/docker/registry/v2/blobs/sha256 file b
    registry_start "$BATS_TEST_TMPDIR/registry"
    skopeo copy -q --insecure-policy --dest-tls-verify=false "oci:$IMAGE/oci:small" "docker://$registry/a/b:small"
    from() { ends "$1" "docker://$registry/$2" --insecure-policy --tls-verify=false; }
    from 3 a/b:none
    from 3 a/none:small
    from 3 "a/b@sha256:$(sha256sum < /dev/null | cut -d' ' -f1)"
    for file in "$config" "$layer"; do
        b=$blobs/${file:0:2}/$file/data
        cp "$b" "$BATS_TEST_TMPDIR/whole"
        spoil byte "$b"
        from 4 a/b:small
        spoil cut "$b"
        from 4 a/b:small
        rm "$b"
        from 3 a/b:small
        cp "$BATS_TEST_TMPDIR/whole" "$b"
    done
    rm "$blobs/${manifest:0:2}/$manifest/data"
    from 3 a/b:small
    kill "$registry_pid"
    wait "$registry_pid" || :
    registry_pid=
    from 1 a/b:small
}

@test "the policy: 4; a daemon that is not there: 1" {
    local dir=$BATS_TEST_TMPDIR
    echo '{"default":[{"type":"reject"}]}' > "$dir/reject.json"
    echo '{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/none"}]}' > "$dir/signed.json"
    ends 4 "oci:$IMAGE/oci:small" --policy "$dir/reject.json"
    ends 4 "oci:$IMAGE/oci:small" --policy "$dir/signed.json"
    ends 3 "oci:$IMAGE/oci:small" --policy "$dir/none.json"
    ends 1 docker-daemon:name:small
}
