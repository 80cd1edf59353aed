#!/usr/bin/env bats
# Manifests and configs as no right program writes them: what splitfd stores and tags, cfsctl reads; all else is
# refused by the member's name before anything is stored.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() { damage_setup_file; }
teardown_file() { scratch_drop; }
setup() { damage_setup; }
teardown() { damage_teardown; }

# edited EDIT…: the image with other documents.
edited() { "$LIB/store-document.py" "$store/root" localhost/small:latest "$@"; }

# The image is refused with exit code 4 and these words, and the repository is as empty as before.
assert_member_refused() { # REGEX EDIT…
    local regex=$1
    shift
    damage_teardown
    damage_setup
    edited "$@"
    echo "after: $*"
    assert_refused 4 "$regex"
    assert_silent find "$repo" \( -path '*/objects/*' -o -path '*/streams/*' \) \( -type f -o -type l \)
}

@test "each document that cfsctl cannot read is refused with the member's name, nothing stored" {
    assert_member_refused "config has no 'architecture'" 'del c["architecture"]'
    assert_member_refused "config has no 'os'" 'del c["os"]'
    assert_member_refused "'config.Labels.a' is null, not a string" 'c.setdefault("config", {})["Labels"] = {"a": None}'
    assert_member_refused "'history\[0\]' is null, not an object" 'c["history"] = [None]'
    assert_member_refused "'config.ExposedPorts' is an array" 'c.setdefault("config", {})["ExposedPorts"] = ["80/tcp"]'
    assert_member_refused "'architecture' is a number, not a string" 'c["architecture"] = 5'
    assert_member_refused "'layers\[0\]' has no 'mediaType'" 'del m["layers"][0]["mediaType"]'
    assert_member_refused "'annotations.a' is null" 'm["annotations"] = {"a": None}'
    assert_member_refused "'config.platform' has no 'os'" 'm["config"]["platform"] = {"architecture": "x"}'
    assert_member_refused "'config.mediaType' is docker's" \
        'm["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"'
    assert_member_refused "'config' has 'size' twice" "TWICE:size"
}

@test "what cfsctl reads is stored as it is: members of others, null where it may be, odd numbers beside" {
    edited 'c["more"] = [1e300, None, {"deep": [[[]]]}]' 'c["variant"] = None' 'm["x"] = 2**70' \
        'c.setdefault("config", {})["Labels"] = None' 'm["layers"][0]["urls"] = None'
    store_pull 0 "$repo" "$store" localhost/small small
    assert_cfsctl_accepts "$repo" small
}

@test "a record that is not right spoils only itself: the other images are readable, as to skopeo" {
    edit_json "$(images_json)" '[(.[0] | .id = "odd-id" | .names = ["localhost/odd:latest"])] + .'
    edit_json "$(layers_json)" '[(.[0] | .id = "../odd")] + .'
    skopeo inspect --raw "containers-storage:$(store_spec "$store")localhost/small" > /dev/null
    store_pull 0 "$repo" "$store" localhost/small small
    store_pull 3 "$repo" "$store" localhost/odd odd
    assert_one_error "images.json: record 0 is malformed: the ID is not 64 hex digits"
}

# dir_image DIR EDIT…: an image of one layer as skopeo's dir: has it; the edits are lines of Python about m, c.
dir_image() {
    local dir=$1
    shift
    mkdir -p "$dir"
    python3 - "$dir" "$@" << 'X'
import hashlib, json, sys
def put(data, name=None):
    name = name or hashlib.sha256(data).hexdigest()
    with open(sys.argv[1] + "/" + name, "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
tar = bytes(1024)
c = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [put(tar)["digest"]]}}
m = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {
    "mediaType": "application/vnd.docker.container.image.v1+json"}, "layers": [
    {"mediaType": "application/vnd.docker.image.rootfs.diff.tar", **put(tar)}]}
for edit in sys.argv[2:]:
    exec(edit)
m["config"].update(put(json.dumps(c).encode()))
put(json.dumps(m).encode(), "manifest.json")
put(b"Directory Transport Version: 1.1\n", "version")
X
}

@test "layers and diff_ids that are null: readable, and refused by a repository with the member's name" {
    local d=$BATS_TEST_TMPDIR/null
    dir_image "$d" 'm["layers"] = None' 'c["rootfs"]["diff_ids"] = None'
    skopeo copy -q --insecure-policy "dir:$d" "containers-storage:$(store_spec "$store")localhost/null"
    store_pull 4 "$repo" "$store" localhost/null null
    assert_one_error "localhost/null.*'layers' is null, not an array"
    run_splitfd 4 pull --repo "$repo" --insecure-policy "dir:$d" null
    assert_one_error "dir:.*null.*'rootfs.diff_ids' is null, not an array"
    assert_nothing_visible "$repo"
    python3 - "containers-storage:$(store_spec "$store")localhost/null" "$BUILD/splitfd" experimental-image-proxy \
        --insecure-policy -- "$LIB/newer" skopeo experimental-image-proxy --insecure-policy << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
rest, answers = sys.argv[2:], []
for program in rest[:rest.index("--")], rest[rest.index("--") + 1:]:
    p = Proxy(program)
    i = p.open(sys.argv[1])
    answers.append([p.piped(m, i)[0] if m != "GetLayerInfo" else p.value(m, i)
                    for m in ("GetManifest", "GetConfig", "GetFullConfig", "GetLayerInfo", "GetLayerInfoPiped")])
    p.close()
assert answers[0] == answers[1], answers
X
}

@test "what is not supported is called so: another digest than sha256, a config of 18 MB" {
    local d=$BATS_TEST_TMPDIR/odd
    dir_image "$d" 'c["rootfs"]["diff_ids"] = ["sha512:" + "a" * 128]'
    run_splitfd 4 pull --repo "$repo" --insecure-policy "dir:$d" x
    assert_one_error "diff_id sha512:a*; only sha256 is supported"
    dir_image "$d" 'c["x"] = "y" * (18 << 20)' 'm["mediaType"] = "application/vnd.oci.image.manifest.v1+json"' \
        'm["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json"' \
        'm["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar"'
    run_splitfd 4 pull --repo "$repo" --insecure-policy "dir:$d" x
    assert_one_error "18874[0-9]* bytes; at most 16777216 are read"
    assert_nothing_visible "$repo"
}

@test "a member or flag of a record that is not known: noted once, and the SHA-256 of the layers decides" {
    local edit
    for edit in '.[0].flags = {"encrypted-at-rest": true}' '.[0]["content-format"] = "v9"'; do
        damage_teardown
        damage_setup
        edit_json "$(layers_json)" "$edit"
        SPLITFD_STDERR_OK=yes store_pull 0 "$repo" "$store" localhost/small small
        assert_same 1 "$(wc -l <<< "$errors")"
        assert_match "note: .*(flags|encrypted-at-rest|content-format).* this release does not know" "$errors"
        assert_cfsctl_accepts "$repo" small
    done
    damage_teardown
    damage_setup
    edit_json "$(images_json)" '.[0].later = 1'
    SPLITFD_STDERR_OK=yes store_pull 0 "$repo" "$store" localhost/small small
    assert_match "'later', which this release does not know" "$errors"
}

@test "fsck finds what cfsctl's finds, on documents made by chance" {
    timeout 120 "$LIB/oci-documents.py" "$CFSCTL" "$BUILD/splitfd" "$SCRATCH/chance" "${DOCUMENTS_SEED:-1}" \
        "${DOCUMENTS:-3000}"
}

@test "indexes of layouts made by chance: what skopeo takes is stored as cfsctl stores it" {
    timeout 120 "$LIB/oci-documents.py" index "$CFSCTL" "$BUILD/splitfd" "$SCRATCH/indexes" \
        "${DOCUMENTS_SEED:-1}" "${INDEXES:-40}"
}
