#!/usr/bin/env bats
# `splitfd pull` by way of a real skopeo, Debian's and the newer suite's: every transport and every
# compression gives what a pull from podman's store gives; blobs and layers that are not what they
# are called are refused.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/proxy
load ../lib/slow

setup_file() {
    require_interop || return 0
    require_newer || return 0
    scratch_make
    export LAYOUT=$SCRATCH/layout STORE=$SCRATCH/store
    proxy_programs
    export SKOPEOS="/usr/bin/skopeo $SCRATCH/bin-newer/skopeo"
    two_tars
    make_images
}
teardown_file() {
    registry_drop
    scratch_drop
}
teardown() { slow_kill; }

# One image of every compression, in a layout, a registry, archives, a directory and a store.
make_images() {
    local form
    for form in gzip zstd plain; do
        "$LIB/make-layout.py" "$LAYOUT" $form "$form:$SCRATCH/base.tar" "$form:$SCRATCH/top.tar" > "$SCRATCH/layers"
    done
    "$LIB/newer" skopeo copy -q --insecure-policy --dest-compress-format zstd:chunked --dest-force-compress-format \
        "oci:$LAYOUT:gzip" "oci:$LAYOUT:chunked"
    proxy_registry
    for form in gzip zstd plain chunked; do
        registry_push "oci:$LAYOUT:$form" "$form:latest" --preserve-digests
        skopeo copy -q --insecure-policy --preserve-digests "oci:$LAYOUT:$form" "oci-archive:$SCRATCH/$form.tar:$form"
        skopeo copy -q --insecure-policy --preserve-digests "oci:$LAYOUT:$form" "dir:$SCRATCH/$form"
        store_load newer "$LAYOUT:$form" "$STORE-$form" "localhost/$form" # one each: they have one image ID
    done
    skopeo copy -q --insecure-policy "oci:$LAYOUT:gzip" "docker-archive:$SCRATCH/docker.tar:localhost/x:y"
}

media_types() { jq -r '.layers[].mediaType' "$LAYOUT/blobs/sha256/$(jq -r --arg t "$1" \
    '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest[7:]' "$LAYOUT/index.json")"; }

# pulls_alike FORM REFERENCE…: each gives the repository that the store's image gives, to the last name.
pulls_alike() {
    local form=$1 skopeo reference
    shift
    rm -rf "$SCRATCH/native"
    repo_init "$SCRATCH/native"
    store_pull 0 "$SCRATCH/native" "$STORE-$form" "localhost/$form" tag
    for skopeo in $SKOPEOS; do
        for reference in "$@"; do
            rm -rf "$SCRATCH/r"
            repo_init "$SCRATCH/r"
            run_splitfd 0 pull --repo "$SCRATCH/r" --skopeo "$skopeo" --tls-verify=false "$reference" tag
            assert_same "$(repo_names "$SCRATCH/native")" "$(repo_names "$SCRATCH/r")"
            assert_fsck_clean "$SCRATCH/r"
            assert_layers_exact "$SCRATCH/r" tag
            case $reference in oci-archive:*) nothing_unpacked "$form" ;; esac
        done
    done
}
all_transports() { # FORM
    pulls_alike "$1" "oci:$LAYOUT:$1" "oci-archive:$SCRATCH/$1.tar:$1" "dir:$SCRATCH/$1" "docker://127.0.0.1:$PORT/$1:latest"
}

@test "layers of gzip: oci:, oci-archive:, dir: and docker:// give what the store gives" {
    assert_match 'tar.gzip' "$(media_types gzip)"
    all_transports gzip
}
@test "layers of zstd: oci:, oci-archive:, dir: and docker:// give what the store gives" {
    assert_match 'tar.zstd' "$(media_types zstd)"
    all_transports zstd
}
@test "layers of zstd:chunked: oci:, oci-archive:, dir: and docker:// give what the store gives" {
    assert_match 'tar.zstd' "$(media_types chunked)"
    # The table of contents that makes it "chunked".
    jq -e '[.layers[].annotations["io.github.containers.zstd-chunked.manifest-position"]] | all' \
        "$SCRATCH/chunked/manifest.json" > /dev/null
    all_transports chunked
}
@test "layers that are plain tar: oci:, oci-archive:, dir: and docker:// give what the store gives" {
    assert_match 'layer.v1.tar$' "$(media_types plain)"
    all_transports plain
}
@test "docker-archive: gives the layers and files that the store gives" {
    local skopeo
    rm -rf "$SCRATCH/native"
    repo_init "$SCRATCH/native"
    store_pull 0 "$SCRATCH/native" "$STORE-gzip" localhost/gzip tag
    for skopeo in $SKOPEOS; do
        rm -rf "$SCRATCH/r"
        repo_init "$SCRATCH/r"
        run_splitfd 0 pull --repo "$SCRATCH/r" --skopeo "$skopeo" "docker-archive:$SCRATCH/docker.tar" tag
        # Its manifest is docker's, so that manifest and config are converted ones.
        assert_same "$(contents "$SCRATCH/native" | grep -vE 'manifest|config')" \
            "$(contents "$SCRATCH/r" | grep -vE 'manifest|config')"
        assert_fsck_clean "$SCRATCH/r"
        assert_layers_exact "$SCRATCH/r" tag
    done
}

# refused TEXT LAYER REFERENCE: by both; one line that names the layer, nothing visible.
refused() {
    local skopeo
    for skopeo in $SKOPEOS; do
        rm -rf "$SCRATCH/bad"
        repo_init "$SCRATCH/bad"
        run_splitfd '1|4' pull --repo "$SCRATCH/bad" --skopeo "$skopeo" --tls-verify=false "$3" tag
        assert_match "^splitfd pull: layer $2: ($1)[^"$'\n'"]*$" "$errors"
        assert_nothing_visible "$SCRATCH/bad"
        # Nothing is in the way of the next pull.
        run_splitfd 0 pull --repo "$SCRATCH/bad" --skopeo "$skopeo" "oci:$LAYOUT:gzip" tag
        assert_fsck_clean "$SCRATCH/bad"
    done
}
# faulty FAULT FORM: a layout whose base layer is faulty; prints its diff_id.
faulty() {
    rm -rf "$SCRATCH/faulty"
    "$LIB/make-layout.py" "$SCRATCH/faulty" x "$2+$1:$SCRATCH/base.tar" "$2:$SCRATCH/top.tar" > "$SCRATCH/faulty.txt"
    head -n 1 "$SCRATCH/faulty.txt" | cut -d' ' -f1
}
digest_wrong='skopeo: corrupted blob, expecting sha256:[0-9a-f]+|blob sha256:[0-9a-f]+ has another digest'
size_wrong='skopeo: expected [0-9]+ bytes in blob, got [0-9]+|blob sha256:[0-9a-f]+ has [0-9]+ bytes, not [0-9]+'

@test "a blob that decompresses well but has another digest is refused" {
    refused "$digest_wrong" "$(faulty digest gzip)" "oci:$SCRATCH/faulty:x"
}
@test "a blob that is damaged in the middle is refused" {
    local form
    for form in gzip zstd plain; do
        refused "$digest_wrong|cannot decompress: " "$(faulty damaged $form)" "oci:$SCRATCH/faulty:x"
    done
}
@test "a blob that is cut off is refused, and soon" {
    local form
    for form in gzip zstd plain; do
        refused "$digest_wrong|$size_wrong" "$(faulty cut $form)" "oci:$SCRATCH/faulty:x"
    done
}
@test "a blob with more bytes behind its end is refused" {
    local form
    for form in gzip zstd plain; do
        refused "$digest_wrong|$size_wrong" "$(faulty longer $form)" "oci:$SCRATCH/faulty:x"
    done
}
@test "a manifest that has another size for a blob is refused" {
    local fault
    for fault in size smaller; do
        refused "$size_wrong" "$(faulty $fault gzip)" "oci:$SCRATCH/faulty:x"
    done
}
@test "a layer whose content has another diff_id is refused" {
    local form
    for form in gzip zstd plain; do
        refused 'the stream ends at .* this is not the layer' "$(faulty diffid $form)" "oci:$SCRATCH/faulty:x"
    done
}
@test "dir: and docker-archive: with a wrong layer are refused" {
    local layer
    layer=$(faulty digest gzip)
    skopeo copy -q --insecure-policy "oci:$LAYOUT:gzip" "dir:$SCRATCH/bad-dir"
    cp "$SCRATCH/faulty/blobs/sha256/"* "$SCRATCH/bad-dir/"
    refused "$digest_wrong" "$layer" "dir:$SCRATCH/bad-dir"
    # docker-archive: has no digests of its own; skopeo takes those of the config.
    mkdir "$SCRATCH/unpacked"
    tar -C "$SCRATCH/unpacked" -xf "$SCRATCH/docker.tar"
    layer=$(sha256sum < "$SCRATCH/base.tar" | cut -d' ' -f1)
    (cd "$SCRATCH/unpacked" && chmod u+w "$layer.tar" && printf x | dd of="$layer.tar" bs=1 seek=3000000 conv=notrunc status=none)
    tar -C "$SCRATCH/unpacked" -cf "$SCRATCH/bad-docker.tar" .
    refused "$digest_wrong|the stream ends at" "sha256:$layer" "docker-archive:$SCRATCH/bad-docker.tar"
}
@test "an archive whose layer is refused: skopeo leaves nothing of it in /var/tmp" {
    local layer
    "$LIB/make-layout.py" "$SCRATCH/broken" broken "gzip+damaged:$SCRATCH/base.tar" "gzip:$SCRATCH/top.tar" > "$SCRATCH/broken.txt"
    layer=$(head -n 1 "$SCRATCH/broken.txt" | cut -d' ' -f1)
    tar -C "$SCRATCH/broken" -czf "$SCRATCH/broken.tar" .
    refused "$digest_wrong|cannot decompress: " "$layer" "oci-archive:$SCRATCH/broken.tar:broken"
    nothing_unpacked broken
}
@test "a pull of an archive that is interrupted, also from the keyboard: nothing of it in /var/tmp" {
    local skopeo signal
    mkdir -p "$SCRATCH/interrupted"
    "$LIB/make-layout.py" "$SCRATCH/interrupted" interrupted "gzip:$SCRATCH/base.tar" > /dev/null
    tar -C "$SCRATCH/interrupted" -cf "$SCRATCH/interrupted.tar" .
    for skopeo in $SKOPEOS; do
        for signal in TERM INT; do
            rm -rf "$SCRATCH/r"
            repo_init "$SCRATCH/r"
            SLOW_CALL=openat slow_start 20000 pull --repo "$SCRATCH/r" --skopeo "$skopeo" \
                "oci-archive:$SCRATCH/interrupted.tar:interrupted" tag
            slow_wait_objects "$SCRATCH/r" 5
            # The keyboard's goes to the whole group.
            case $signal in INT) kill -INT -- "-$slow" ;; *) kill "-$signal" "$slow" ;; esac
            slow_end
            [ "$slow_code" -eq 1 ]
            # In the layer, or where the last object of it has just been made.
            assert_match '^splitfd pull: (layer [^ ]*: .*)?interrupted' "$(cat "$BATS_TEST_TMPDIR/slow.err")"
            nothing_unpacked interrupted
            assert_nothing_visible "$SCRATCH/r"
        done
    done
}
@test "a blob that is damaged or cut off in the registry's own store is refused" {
    local layer blob data
    registry_push "oci:$LAYOUT:gzip" damaged:latest --preserve-digests
    layer=$(head -n 1 "$SCRATCH/layers" | cut -d' ' -f1)
    blob=$(jq -r '.layers[0].digest[7:]' "$SCRATCH/gzip/manifest.json")
    data=$SCRATCH/registry-$PORT/docker/registry/v2/blobs/sha256/${blob:0:2}/$blob/data
    cp "$data" "$SCRATCH/saved"
    printf 'xxxx' | dd of="$data" bs=1 seek=3000000 conv=notrunc status=none
    refused "$digest_wrong|cannot decompress: " "$layer" "docker://127.0.0.1:$PORT/damaged:latest"
    truncate -s 3000000 "$data"
    refused "$digest_wrong|$size_wrong" "$layer" "docker://127.0.0.1:$PORT/damaged:latest"
    cp "$SCRATCH/saved" "$data"
}
@test "a config that has another digest is refused" {
    local skopeo config
    faulty size gzip
    config=$(jq -r '.config.digest[7:]' "$SCRATCH/gzip/manifest.json")
    printf ' ' >> "$SCRATCH/faulty/blobs/sha256/$config"
    for skopeo in $SKOPEOS; do
        rm -rf "$SCRATCH/bad"
        repo_init "$SCRATCH/bad"
        run_splitfd '1|4' pull --repo "$SCRATCH/bad" --skopeo "$skopeo" "oci:$SCRATCH/faulty:x" tag
        assert_match "^splitfd pull: [^"$'\n'"]*: the config: skopeo: [^"$'\n'"]*$" "$errors"
        assert_nothing_visible "$SCRATCH/bad"
    done
}
@test "what is no image, or is not there, is one clear error" {
    local skopeo reference
    for skopeo in $SKOPEOS; do
        for reference in "oci:$LAYOUT:nope" "oci:$SCRATCH/nope:x" "dir:$SCRATCH/nope" "docker-archive:$SCRATCH/nope.tar" \
            "docker://127.0.0.1:$PORT/nope:latest"; do
            rm -rf "$SCRATCH/bad"
            repo_init "$SCRATCH/bad"
            run_splitfd '1|3|4' pull --repo "$SCRATCH/bad" --skopeo "$skopeo" --tls-verify=false "$reference" tag
            assert_match "^splitfd pull: '$reference': skopeo: [^"$'\n'"]*$" "$errors"
            assert_nothing_visible "$SCRATCH/bad"
        done
    done
}
