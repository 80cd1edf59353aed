#!/usr/bin/env bats
# Repositories that cfsctl wrote, as splitfd lists, inspects and checks them; each fault that cfsctl's
# fsck knows, made on a real repository, and both programs' verdict.
# bats file_tags=asan

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    export LAYOUT=$SCRATCH/layout
    make_layout
    for algorithm in sha512 sha256; do
        "$CFSCTL" --repo "$SCRATCH/$algorithm" init --insecure --algorithm fsverity-$algorithm-12 > /dev/null
        cfs_quiet "$SCRATCH/$algorithm" oci pull "oci:$LAYOUT:x" img
        cfs_quiet "$SCRATCH/$algorithm" oci pull "oci:$LAYOUT:x" "some/other%name:1"
    done
}
teardown_file() { scratch_drop; }

cfs_quiet() { cfs "$@" > /dev/null 2>&1; }

# Two layers, with files that are inline and files that are objects, one of them twice.
make_layout() {
    local store=$SCRATCH/store c
    store_make "$store"
    mkdir -p "$SCRATCH/one/usr/bin" "$SCRATCH/two/usr/lib"
    head -c 70000 /dev/urandom > "$SCRATCH/one/usr/bin/tool"
    head -c 5000 /dev/urandom > "$SCRATCH/one/usr/data"
    cp "$SCRATCH/one/usr/data" "$SCRATCH/two/usr/lib/copy"
    echo small > "$SCRATCH/two/usr/lib/small"
    ln "$SCRATCH/one/usr/data" "$SCRATCH/one/usr/link"
    for d in one two; do
        c=$(suite_buildah debian "$store" -- from "$([ $d = one ] && echo scratch || echo localhost/one)")
        suite_buildah debian "$store" -- copy -q "$c" "$SCRATCH/$d" / > /dev/null
        suite_buildah debian "$store" -- commit -q "$c" localhost/$d > /dev/null
        suite_buildah debian "$store" -- rm "$c" > /dev/null
    done
    skopeo copy --quiet --insecure-policy "containers-storage:$(store_spec "$store")localhost/two" "oci:$LAYOUT:x"
}

# A copy of the sha512 repository for this test, and what is in it.
fresh() {
    repo=$SCRATCH/fault$BATS_TEST_NUMBER
    cp -a "$SCRATCH/sha512" "$repo"
    manifest=$(cfs "$repo" oci images --json | jq -r '.images[0].manifest_digest')
    config=$(cfs "$repo" oci inspect img --manifest | jq -r .config.digest)
    layer=$(tag_diff_ids "$repo" img | head -n 1)
    object=$(find "$repo/objects" -type f -size 5000c -printf '%P\n')
}
teardown() { rm -rf "$SCRATCH/fault$BATS_TEST_NUMBER"; }

# The kinds of error with where they are, without their details (the words of a library).
kinds() {
    sed -n 's/^  - fsck: //p' | sed -E \
        -e 's/^((object-invalid-name|object-open-failed|image-invalid|stream-open-failed|stream-read-failed|manifest-read-failed|config-read-failed|manifest-parse-failed|config-parse-failed|unexpected-file-type|ref-resolve-failed|layer-content-mismatch): [^:]*(:sha256:[0-9a-f]*)?).*/\1/' \
        -e 's/^((layer-check-failed|(artifact-)?layer-object-missing): [^ ]* sha256:[0-9a-f]*).*/\1/' \
        -e 's/^(seal-image-missing: [^ ]* [^:]*).*/\1/' | LC_ALL=C sort
}

# Both find faults, and splitfd at least those that cfsctl finds; $1 must be among them.
both_find() {
    local theirs ours
    theirs=$(cfs "$repo" oci fsck ${2:-} 2> /dev/null | kinds)
    run_splitfd 1 fsck --repo "$repo" ${2:-}
    ours=$(kinds <<< "$output")
    printf 'cfsctl: %s\nsplitfd: %s\n' "$theirs" "$ours"
    grep -q "^$1" <<< "$theirs"
    grep -q "^$1" <<< "$ours"
    assert_silent comm -23 <(echo "$theirs") <(echo "$ours")
    run_splitfd 1 fsck --json --repo "$repo" ${2:-}
    jq -e '.ok == false' <<< "$output"
}

@test "a repository of cfsctl's is clean, in both algorithms, with the same counts" {
    for algorithm in sha512 sha256; do
        repo=$SCRATCH/$algorithm
        run_splitfd 0 fsck --repo "$repo"
        assert_same "$(cfs "$repo" oci fsck)" "$(grep -v ^layers: <<< "$output")"
        assert_match 'layers: 2/2 ok' "$output"
        run_splitfd 0 fsck --json --repo "$repo"
        assert_same "$(cfs "$repo" oci fsck --json | jq -S .)" \
            "$(jq -S 'del(.repo.layers_checked, .repo.layers_corrupted)' <<< "$output")"
    done
}

@test "images: the same list" {
    for algorithm in sha512 sha256; do
        run_splitfd 0 images --json --repo "$SCRATCH/$algorithm"
        assert_same "$(cfs "$SCRATCH/$algorithm" oci images --json | jq -S '.images |= sort_by(.name)')" \
            "$(jq -S . <<< "$output")"
    done
    run_splitfd 0 images --repo "$SCRATCH/sha512"
    assert_match 'some/other%name:1' "$output"
}

@test "inspect: the same manifest, config and images, by name and by digest" {
    fresh
    for name in img some/other%name:1 "@$manifest"; do
        run_splitfd 0 inspect --repo "$repo" "$name"
        assert_same "$(cfs "$repo" oci inspect "$name" | jq -S .)" "$(jq -S . <<< "$output")"
    done
    run_splitfd 0 inspect --config --repo "$repo" img
    assert_same "$config" "sha256:$(printf %s "$output" | sha256sum | cut -d' ' -f1)"
    run_splitfd 3 inspect --repo "$repo" nothing
    run_splitfd 3 inspect --repo "$repo" "@sha256:$(printf '0%.0s' {1..64})"
}

@test "layers: the same facts, and stream cat gives the layer" {
    fresh
    run_splitfd 0 layers --json --repo "$repo" img
    assert_same "$(for d in $(tag_diff_ids "$repo" img); do cfs "$repo" oci layer "$d" --json; done | jq -S -s .)" \
        "$(jq -S .layers <<< "$output")"
    for d in $(tag_diff_ids "$repo" img); do
        assert_same "$d" "sha256:$(splitfd stream cat --repo "$repo" "$d" | sha256sum | cut -d' ' -f1)"
        run_splitfd 0 stream check --repo "$repo" "$d"
    done
    run_splitfd 0 stream dump --json --repo "$repo" refs/oci/img
    assert_same "config:$config" "$(jq -r '.refs | keys[0]' <<< "$output")"
    assert_same "$(cfs "$repo" cat "oci-config-$config" | sha256sum)" \
        "$(splitfd stream cat --repo "$repo" "oci-config-$config" | sha256sum)"
}

@test "an artifact: blobs of no tar, listed and checked as cfsctl does" {
    fresh
    local blob config_blob m layout=$SCRATCH/artifact
    mkdir -p "$layout/blobs/sha256"
    add_blob() { local d; d=$(sha256sum "$1" | cut -d' ' -f1); cp "$1" "$layout/blobs/sha256/$d"; echo "$d"; }
    printf '{}' > "$SCRATCH/empty.json"
    head -c 300 /dev/urandom > "$SCRATCH/blob"
    config_blob=$(add_blob "$SCRATCH/empty.json") blob=$(add_blob "$SCRATCH/blob")
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:%s","size":2},"layers":[{"mediaType":"a/b","digest":"sha256:%s","size":300}]}' \
        "$config_blob" "$blob" > "$SCRATCH/manifest.json"
    m=$(add_blob "$SCRATCH/manifest.json")
    printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"platform":{"architecture":"amd64","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"x"}}]}' \
        "$m" "$(stat -c %s "$SCRATCH/manifest.json")" > "$layout/index.json"
    cfs_quiet "$repo" oci pull "oci:$layout:x" artifact
    run_splitfd 0 images --json --repo "$repo"
    assert_same "$(cfs "$repo" oci images --json | jq -S '.images |= sort_by(.name)')" "$(jq -S . <<< "$output")"
    run_splitfd 0 inspect --repo "$repo" artifact
    assert_same "$(cfs "$repo" oci inspect artifact | jq -S .)" "$(jq -S . <<< "$output")"
    run_splitfd 0 fsck --repo "$repo"
    assert_same "$(cfs "$repo" oci fsck)" "$(grep -v ^layers: <<< "$output")"
    # Pulled by splitfd it is the same, from all that skopeo reads.
    local ours=$SCRATCH/artifact-ours source
    skopeo copy -q --insecure-policy "oci:$layout:x" "dir:$SCRATCH/artifact-dir"
    for source in "oci:$layout:x" "dir:$SCRATCH/artifact-dir"; do
        repo_init "$ours"
        run_splitfd 0 pull --repo "$ours" "$source" artifact
        assert_match "objects  0 reflinked \+ 1 copied|objects  1 new" "$output"
        assert_same "$(cfs "$repo" oci inspect artifact | jq -S .)" "$(cfs "$ours" oci inspect artifact | jq -S .)"
        for name in "oci-layer-sha256:$blob" "oci-config-sha256:$config_blob"; do
            assert_same "$(stream_object "$repo" "$name")" "$(stream_object "$ours" "$name")"
        done
        assert_fsck_clean "$ours"
        run_splitfd 0 fsck --repo "$ours"
        cfs "$ours" gc > /dev/null
        run_splitfd 0 pull --repo "$ours" "$source" again
        assert_match "objects  0 new" "$output"
        assert_fsck_clean "$ours"
        rm -rf "$ours"
    done
    rm "$repo/streams/$(readlink "$repo/streams/oci-layer-sha256:$blob")"
    both_find "artifact-layer-object-missing: artifact: sha256:$blob"
}

@test "docker's manifest: stored as skopeo converts it, a container image to cfsctl" {
    local store=$SCRATCH/docker theirs size
    repo=$SCRATCH/fault$BATS_TEST_NUMBER
    store_make "$store"
    c=$(suite_buildah debian "$store" -- from scratch)
    suite_buildah debian "$store" -- copy -q "$c" "$SCRATCH/one" / > /dev/null
    suite_buildah debian "$store" -- config --env A=b --label 'l=<1>&2' "$c"
    suite_buildah debian "$store" -- commit -q --format docker "$c" localhost/d > /dev/null
    repo_init "$repo"
    store_pull 0 "$repo" "$store" localhost/d d
    assert_cfsctl_accepts "$repo" d
    cfs "$repo" oci images --json | jq -e '.images[0].is_container'
    assert_same "\"$(cfs "$repo" oci compute-id d)\"" "$(cfs "$repo" oci inspect d | jq .composefs_erofs)"
    # The config keeps its bytes; all else is skopeo's.
    skopeo copy --quiet --insecure-policy --format oci "containers-storage:$(store_spec "$store")localhost/d" \
        "dir:$SCRATCH/dir"
    run_splitfd 0 inspect --config --repo "$repo" d
    theirs=$(jq -r .config.digest "$SCRATCH/dir/manifest.json") size=$(jq .config.size "$SCRATCH/dir/manifest.json")
    assert_same "$(sed "s/$theirs\",\"size\":$size/sha256:$(printf %s "$output" | sha256sum | cut -d' ' -f1)\",\"size\":${#output}/" \
        "$SCRATCH/dir/manifest.json")" "$(splitfd inspect --manifest --repo "$repo" d)"
    assert_same "sha256:$(store_image_id "$store" localhost/d:latest)" \
        "$(splitfd inspect --manifest --repo "$repo" d | jq -r .config.digest)"
}

@test "an object's content changed" {
    fresh
    printf X | dd of="$repo/objects/$object" bs=1 conv=notrunc status=none
    both_find "object-digest-mismatch: objects/$object"
    assert_match layer-content-mismatch "$(splitfd fsck --repo "$repo" 2> /dev/null)"
    run_splitfd 0 fsck --metadata-only --repo "$repo"
}

@test "a bad file name in objects" {
    fresh
    touch "$repo/objects/${object%%/*}/xyz"
    both_find "object-invalid-name: objects/${object%%/*}/xyz"
}

@test "an object is missing" {
    fresh
    rm "$repo/objects/$object"
    both_find "missing-object-ref: streams/oci-layer-"
    both_find "image-missing-object: images/"
}

@test "a layer's stream object is missing" {
    fresh
    rm "$repo/objects/$(readlink "$repo/streams/oci-layer-$layer" | sed 's|.*objects/||')"
    both_find "broken-symlink: streams/oci-layer-$layer"
    both_find "missing-named-ref: streams/oci-config-$config: ref $layer"
    both_find "layer-object-missing: img: $layer"
}

@test "a layer's name is missing" {
    fresh
    rm "$repo/streams/oci-layer-$layer"
    both_find "layer-stream-missing: img: $layer"
}

@test "the config's stream object is missing" {
    fresh
    rm "$repo/objects/$(readlink "$repo/streams/oci-config-$config" | sed 's|.*objects/||')"
    both_find "config-read-failed: img"
}

@test "the manifest is missing" {
    fresh
    rm "$repo/streams/oci-manifest-$manifest"
    both_find "broken-symlink: streams/refs/oci/img"
    both_find "manifest-read-failed: img"
}

@test "a name in streams points at no splitstream" {
    fresh
    ln -s "../objects/$object" "$repo/streams/foo"
    both_find "stream-open-failed: streams/foo"
}

@test "files where links should be" {
    fresh
    touch "$repo/streams/foo" "$repo/streams/refs/oci/reg"
    mkfifo "$repo/streams/fifo"
    both_find "entry-not-symlink: streams/foo"
    both_find "unexpected-file-type: streams/refs/oci/reg"
}

@test "an EROFS image that is none" {
    fresh
    ln -s "../objects/$object" "$repo/images/$(tr -d / <<< "$object")"
    both_find "image-invalid: images/$(tr -d / <<< "$object")"
}

@test "a tag that begins with @" {
    fresh
    ln -s "../../oci-manifest-$manifest" "$repo/streams/refs/oci/@x"
    both_find "invalid-ref-name: @x"
}

@test "a layer's name that is no object's path" {
    fresh
    ln -sfn ../objects/nowhere "$repo/streams/oci-layer-$layer"
    both_find "layer-check-failed: img: $layer"
}

# The image again under the tag x, from $config_json and $manifest_json, with the references named.
wrong_image() { # the config's references, "--", the manifest's besides its config
    local refs=() c m
    while [ $# -gt 0 ] && [ "$1" != -- ]; do refs+=("$1"); shift; done
    shift
    c=$(printf %s "$config_json" | "$LIB/put-document.py" "$repo" "${config_name:-oci-config-{\}}" ociconfg "${refs[@]}")
    manifest_json=$(jq -c --arg d "${c#oci-config-}" '.config.digest = $d' <<< "$manifest_json")
    [ -n "${no_config:-}" ] || set -- "config:${c#oci-config-}=$c" "$@"
    m=$(printf %s "$manifest_json" | "$LIB/put-document.py" "$repo" "${manifest_name:-oci-manifest-{\}}" ocimanif "$@")
    ln -s "../../$m" "$repo/streams/refs/oci/x"
    wrong_config=${c#oci-config-} wrong_manifest=${m#oci-manifest-}
}
documents_again() {
    rm -rf "$repo"
    documents
}
documents() {
    local d
    fresh
    config_json=$(cfs "$repo" oci inspect img --config) manifest_json=$(cfs "$repo" oci inspect img --manifest)
    layers=()
    for d in $(tag_diff_ids "$repo" img); do layers+=("$d=oci-layer-$d"); done
}

@test "config and manifest of a writer's own: nothing wrong with them" {
    documents
    config_json=$(jq . <<< "$config_json")
    wrong_image "${layers[@]}" -- "${layers[@]}"
    assert_same "$(cfs "$repo" oci fsck)" "$(splitfd fsck --repo "$repo" | grep -v ^layers:)"
    splitfd inspect --repo "$repo" x > /dev/null
}

@test "a manifest, a config under another digest" {
    documents
    other=sha256:$(printf '0%.0s' {1..64})
    manifest_name=oci-manifest-$other wrong_image "${layers[@]}" -- "${layers[@]}"
    both_find "manifest-digest-mismatch: x: expected $other, got sha256:"
    run_splitfd 4 inspect --repo "$repo" x
    documents_again
    config_name=oci-config-$other wrong_image "${layers[@]}" -- "${layers[@]}"
    both_find "config-digest-mismatch: x: expected $other, got sha256:"
    run_splitfd 4 inspect --repo "$repo" x
}

@test "references that a manifest, a config lacks" {
    documents
    no_config=yes wrong_image "${layers[@]}" -- "${layers[@]}"
    both_find "config-ref-missing: x: $wrong_config"
    documents_again
    wrong_image "${layers[0]}" -- "${layers[@]}"
    both_find "layer-ref-missing: x: ${layers[1]%%=*}"
    documents_again
    manifest_json=$(jq -c '.config.mediaType = "application/x-none" | .layers[].mediaType = "text/plain"' <<< "$manifest_json")
    wrong_image --
    both_find "artifact-layer-ref-missing: x: "
}

@test "a manifest, a config that is none" {
    documents
    manifest_json='{"schemaVersion":2}' wrong_image "${layers[@]}" --
    both_find "manifest-parse-failed: x"
    documents_again
    config_json='{"rootfs":{"type":"layers"}}' wrong_image --
    both_find "config-parse-failed: x"
}

@test "a label that names an image, which is not there" {
    documents
    config_json=$(jq -c '.config.Labels["containers.composefs.fsverity"] = "1234"' <<< "$config_json")
    wrong_image "${layers[@]}" -- "${layers[@]}"
    both_find "seal-image-missing: x: 1234"
}

@test "a tag that is not there" {
    fresh
    both_find "ref-resolve-failed: nothing" nothing
}

@test "cfsctl calls them clean, splitfd does not: a layer under a wrong diff_id, a stale reference" {
    fresh
    wrong=sha256:$(printf '1%.0s' {1..64})
    splitfd stream cat --repo "$repo" "$layer" | cfs "$repo" oci import-layer "$wrong" > /dev/null
    cfs "$repo" oci fsck > /dev/null
    run_splitfd 1 fsck --repo "$repo"
    assert_match "layer-content-mismatch: streams/oci-layer-$wrong" "$output"
    run_splitfd 4 stream check --repo "$repo" "$wrong"
    other=$(readlink "$repo/streams/oci-layer-$(tag_diff_ids "$repo" img | tail -n 1)")
    ln -sfn "$other" "$repo/streams/oci-layer-$layer"
    cfs "$repo" oci fsck > /dev/null
    run_splitfd 1 fsck --repo "$repo"
    assert_match "layer-ref-stale: streams/oci-config-$config: ref $layer" "$output"
}

@test "init: cfsctl reads it, the same again is no error, other settings are" {
    for algorithm in sha512 sha256; do
        run_splitfd 0 init --insecure --algorithm fsverity-$algorithm-12 "$SCRATCH/new-$algorithm"
        assert_fsck_clean "$SCRATCH/new-$algorithm"
        cmp "$SCRATCH/new-$algorithm/meta.json" "$SCRATCH/$algorithm/meta.json"
    done
    run_splitfd 0 init --insecure --repo "$SCRATCH/new-sha512"
    run_splitfd 1 init --insecure --algorithm sha256 --repo "$SCRATCH/new-sha512"
    run_splitfd 3 images --repo "$SCRATCH/nothing"
    run_splitfd 2 images --repo "$SCRATCH/nothing" --system
}
