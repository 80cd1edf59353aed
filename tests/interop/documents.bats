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
    assert_same "" "$(find "$repo/objects" "$repo/streams" -type f -o -type l 2> /dev/null)"
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

@test "fsck finds what cfsctl's finds, on documents made by chance" {
    timeout 120 "$LIB/oci-documents.py" "$CFSCTL" "$BUILD/splitfd" "$SCRATCH/chance" "${DOCUMENTS_SEED:-$RANDOM}" \
        "${DOCUMENTS:-3000}"
}
