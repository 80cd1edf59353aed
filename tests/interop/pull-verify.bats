# What is checked against whom: CRC-64 against damage, sha256 against who can write the store.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage
load ../lib/varlink

setup_file() { damage_setup_file; }
teardown_file() { scratch_drop; }
setup() {
    pids=()
    damage_setup
    # Everybody comes as far as the store.
    chmod 711 "$SCRATCH"
    chmod 755 "$store" "$store/root" "$store/root/overlay" "$store/root/overlay/${layers[1]}"
    forged=opt/odd/file-1000000
}
teardown() {
    stop_services
    damage_teardown
}

# A file of the middle layer: another content, the same size, the same CRC-64.
forge() {
    "$LIB/crc64-forge.py" "$store/root/overlay/${layers[1]}/diff/$forged" 5000
}
store_restore() {
    cp --reflink=always "$GOLDEN/root/overlay/${layers[1]}/diff/$forged" "$store/root/overlay/${layers[1]}/diff/$forged"
}
middle_diff_id() { store_diff_ids "$store" localhost/small:latest | sed -n 2p; }
mark() { readlink "$repo/splitfd-proven/$(middle_diff_id)"; }
stored() { readlink "$repo/streams/oci-layer-$(middle_diff_id)" | sed 's,.*objects/,,; s,/,,'; }

assert_found() { # OPTION…
    store_pull 4 "$repo" "$store" localhost/small small -- "$@"
    assert_one_error 'sha256'
    assert_nothing_visible "$repo"
}

@test "a forged file in root's own store: CRC-64 does not see it, --verify-diffid does" {
    forge
    assert_found --verify-diffid
    store_pull 0 "$repo" "$store" localhost/small small
    run splitfd fsck --repo "$repo"
    assert_match "$(middle_diff_id)" "$output"
    [ "$status" -ne 0 ]
}

@test "a store that another user owns: checked by default, unless it is opted out" {
    chown 4242 "$store/root"
    forge
    assert_found
    store_pull 0 "$repo" "$store" localhost/small small -- --no-verify-diffid
}

@test "each directory from the store's root to the layer's own decides, and each way to write it" {
    local d
    forge
    for d in . overlay overlay-layers "overlay/${layers[1]}" "overlay/${layers[1]}/diff"; do
        chown 4242 "$store/root/$d"
        assert_found
        chown 0 "$store/root/$d"
        chmod o+w "$store/root/$d"
        assert_found
        chmod o-w "$store/root/$d"
    done
    chgrp 4242 "$store/root/overlay"
    chmod g+w "$store/root/overlay"
    assert_found
    chmod g-w "$store/root/overlay"
    chgrp 0 "$store/root/overlay"
    # Nobody else can write anything any more.
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "an access list is a way to write, too" {
    require_program setfacl
    forge
    setfacl -m u:4242:rwx "$store/root/overlay"
    assert_found
}

@test "a directory above the store that another user can write: the store can be replaced" {
    chown 4242 "$store"
    forge
    assert_found
    chown 0 "$store"
    chmod 1777 "$store"
    # With the sticky bit only what is one's own.
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "owners of files decide nothing, nor does what nobody else can reach" {
    chown -R 4242 "$store/root/overlay/${layers[1]}/diff/opt"
    forge
    store_pull 0 "$repo" "$store" localhost/small small
    rm -rf "$repo"
    repo_init "$repo"
    chown 4242 "$store/root/overlay/${layers[1]}/diff"
    chmod 700 "$store/root"
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "checked after unchecked: the stored layer is not taken at its word, and replaced" {
    forge
    store_pull 0 "$repo" "$store" localhost/small small
    local poisoned
    poisoned=$(stored)
    refute mark
    # The source is no better.
    store_pull 4 "$repo" "$store" localhost/small again -- --verify-diffid
    assert_one_error "$(middle_diff_id).*not the layer"
    assert_same "$poisoned" "$(stored)"
    # The genuine image, from elsewhere.
    run_splitfd 0 pull --repo "$repo" -q "oci:$SMALL" genuine
    refute test "$poisoned" = "$(stored)"
    assert_same "$(stored)" "$(mark)"
    run_splitfd 0 fsck --repo "$repo"
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" genuine
    assert_cfsctl_accepts "$repo" small
}

@test "a layer that comes alone replaces one of other content" {
    forge
    store_pull 0 "$repo" "$store" localhost/small small
    local blob got=0 poisoned poisoned_image
    poisoned=$(stored)
    poisoned_image=$(ls "$repo/images")
    skopeo copy --quiet --insecure-policy "oci:$SMALL" "dir:$BATS_TEST_TMPDIR/dir"
    blob=$(jq -r '.layers[1].digest' "$BATS_TEST_TMPDIR/dir/manifest.json")
    zcat -f "$BATS_TEST_TMPDIR/dir/${blob#sha256:}" > "$BATS_TEST_TMPDIR/tar"
    splitfd import-layer --repo "$repo" --format tar "$(middle_diff_id)" < "$BATS_TEST_TMPDIR/tar" || got=$?
    assert_same 0 "$got"
    refute test "$poisoned" = "$(stored)"
    assert_same "$(stored)" "$(mark)"
    run_splitfd 0 fsck --repo "$repo"
    # An EROFS image that was made of the other content is nobody's any more; the next pull makes one.
    run_splitfd 0 inspect --repo "$repo" small
    refute grep -q "$poisoned_image" <<< "$output"
    cfs "$repo" gc > /dev/null
    assert_fsck_clean "$repo"
    store_restore
    store_pull 0 "$repo" "$store" localhost/small small
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" small
}

@test "an object whose content is not its name's is found by the proof, and stored again" {
    store_pull 0 "$repo" "$store" localhost/small small
    local object
    object=$(find "$repo/objects" -type f -size 1000000c | head -n 1)
    printf X | dd of="$object" bs=1 seek=5000 conv=notrunc status=none
    SPLITFD_STDERR_OK=1 store_pull 0 "$repo" "$store" localhost/small again -- --verify-diffid
    assert_match 'damaged objects of the repository that were replaced: 1' "$errors"
    run_splitfd 0 fsck --repo "$repo"
    assert_fsck_clean "$repo"
}

# A layer of other content in the repository; the store is the genuine one again.
poisoned_repository() {
    forge
    store_pull 0 "$repo" "$store" localhost/small small
    store_restore
    serve "$BATS_TEST_TMPDIR/socket" --repo "$repo"
}

@test "a layer of other content is not there for who asks a service: it is sent, and replaced" {
    poisoned_repository
    local poisoned
    poisoned=$(stored)
    run_splitfd 0 push --to "$BATS_TEST_TMPDIR/socket" --repo "$repo" --root "$store/root" --runroot "$store/run" \
        localhost/small pushed
    refute test "$poisoned" = "$(stored)"
    assert_same "$(stored)" "$(mark)"
    run_splitfd 0 fsck --repo "$repo"
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" pushed
}

@test "a service proves what is there before it finalizes an image" {
    poisoned_repository
    run python3 - "$LIB" "$BATS_TEST_TMPDIR/socket" "$repo" "$(middle_diff_id)" "$(stored | sed 's,.*/,,')" << 'END'
import sys
sys.path.insert(0, sys.argv[1])
from varlink_client import Connection
c, oci = Connection(sys.argv[2]), "org.composefs.Oci."
handle = c.call("org.composefs.Repository.OpenRepository", {"path": sys.argv[3]})[0]["parameters"]["handle"]
layer = {"diff_id": sys.argv[4], "layer_verity": sys.argv[5]}
print(c.call(oci + "FinalizeImage", {"handle": handle, "manifest_json": "{}", "config_json": "{}",
                                     "layers": [layer], "name": "pushed"})[0])
END
    assert_same 0 "$status"
    assert_match 'InvalidRequest' "$output"
    assert_match 'other content' "$output"
    refute splitfd inspect --repo "$repo" pushed
}

@test "what was proven once is remembered, by the splitstream's digest; cfsctl does not mind" {
    store_pull 0 "$repo" "$store" localhost/small small -- --verify-diffid
    assert_same "$(stored)" "$(mark)"
    assert_cfsctl_accepts "$repo" small
    assert_same "$(stored)" "$(mark)"
    # The second pull reads no file's object.
    SPLITFD_RUN="strace -f -qq -e trace=openat2,openat -o $BATS_TEST_TMPDIR/opens" \
        store_pull 0 "$repo" "$store" localhost/small again -- --verify-diffid
    local with without
    with=$(wc -l < "$BATS_TEST_TMPDIR/opens")
    # A mark for another stream is none.
    ln -sfn "$(mark | tr 0-9a-f f0-9a-e)" "$repo/splitfd-proven/$(middle_diff_id)"
    SPLITFD_RUN="strace -f -qq -e trace=openat2,openat -o $BATS_TEST_TMPDIR/opens" \
        store_pull 0 "$repo" "$store" localhost/small again -- --verify-diffid
    without=$(wc -l < "$BATS_TEST_TMPDIR/opens")
    [ "$without" -gt $((with + 15)) ]
    assert_same "$(stored)" "$(mark)"
}

@test "an unchecked genuine layer is proven, then marked" {
    store_pull 0 "$repo" "$store" localhost/small small
    refute mark
    store_pull 0 "$repo" "$store" localhost/small again -- --verify-diffid
    assert_same "$(stored)" "$(mark)"
    assert_fsck_clean "$repo"
}

@test "--verify-diffid and --no-verify-diffid exclude each other" {
    store_pull 2 "$repo" "$store" localhost/small small -- --verify-diffid --no-verify-diffid
}
