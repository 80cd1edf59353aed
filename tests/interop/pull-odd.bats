#!/usr/bin/env bats
# Odd but legal layers (tests/lib/odd-layers.py), put into stores by skopeo of both suites: exact, or
# refused with the reason.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export ODD=$SCRATCH/odd
    python3 "$LIB/odd-layers.py" "$ODD"
}
teardown_file() { scratch_drop; }

# Pulls one case into a repository of its own; says what is wrong and fails.
judge_case() { # CASE STORE
    local case=$1 expect reason d got
    repo=$SCRATCH/x/repo
    expect=$(jq -r --arg c "$case" '.[] | select(.case == $c) | .expect' "$ODD/index.json")
    reason=$(jq -r --arg c "$case" '.[] | select(.case == $c) | .reason // ""' "$ODD/index.json")
    rm -rf "$repo" && repo_init "$repo"
    if [ "$expect" = refused ]; then
        store_pull '1|3|4' "$repo" "$2" "localhost/$case" "$case" || return 1
        assert_match "$reason" "$errors" && assert_nothing_visible "$repo"
        return
    fi
    # What is said on stderr of an image that cannot be mounted is no failure.
    SPLITFD_STDERR_OK=1 store_pull 0 "$repo" "$2" "localhost/$case" "$case" -- --verify-diffid || return 1
    for d in $(jq -r --arg c "$case" '.[] | select(.case == $c) | .diff_ids[]' "$ODD/index.json" | sort -u); do
        got=sha256:$(cfs "$repo" oci layer "$d" | sha256sum | cut -d' ' -f1)
        assert_same "$d" "$got" || return 1
    done
    assert_fsck_clean "$repo" || return 1
    cfs "$repo" oci images --json | jq -e --arg t "$case" '.images | any(.name == $t)' > /dev/null
}

judge_all() { # SUITE [DRIVER]
    local case failed=() n=0 driver=${2:-overlay}
    for case in $(jq -r '.[].case' "$ODD/index.json"); do
        store_load "$1" "$ODD/$case" "$SCRATCH/x/$1-$driver" "localhost/$case" "$driver"
        judge_case "$case" "$SCRATCH/x/$1-$driver" > "$SCRATCH/judged" 2>&1 || {
            failed+=("$case")
            sed "s/^/$case: /" "$SCRATCH/judged"
        }
        n=$((n + 1))
    done
    echo "failed: ${failed[*]}"
    [ ${#failed[@]} -eq 0 ] && [ $n -ge 40 ]
}

# bats test_tags=asan, tsan
@test "odd layers in an overlay store of Debian's suite" { judge_all debian; }

@test "odd layers in an overlay store of the newer suite" {
    require_newer
    judge_all newer
}

# bats test_tags=asan
@test "an image with docker's schema 2 manifest: stored, exact, with a tree" {
    local layout=$SCRATCH/x/debian-docker id d
    store_make "$layout"
    skopeo copy --quiet --insecure-policy --format v2s2 "oci:$ODD/whiteouts" "containers-storage:$(store_spec "$layout")localhost/docker"
    repo=$SCRATCH/x/repo
    rm -rf "$repo" && repo_init "$repo"
    store_pull 0 "$repo" "$layout" localhost/docker docker -- --verify-diffid
    for d in $(jq -r '.[] | select(.case == "whiteouts") | .diff_ids[]' "$ODD/index.json"); do
        assert_same "$d" "sha256:$(cfs "$repo" oci layer "$d" | sha256sum | cut -d' ' -f1)"
    done
    assert_fsck_clean "$repo"
    cfs "$repo" oci compute-id docker
}

@test "whichever layers are there already, the image is the same" {
    local case store=$SCRATCH/x/debian-overlay partial=$SCRATCH/x/partial image layers n i
    repo=$SCRATCH/x/repo
    for case in three-layers same-layer-twice; do
        store_load debian "$ODD/$case" "$store" "localhost/$case"
        rm -rf "$repo" && repo_init "$repo"
        store_pull 0 "$repo" "$store" "localhost/$case" "$case"
        image=$(cfs "$repo" oci compute-id "$case")
        mapfile -t layers < <(jq -r --arg c "$case" '.[] | select(.case == $c) | .diff_ids | unique[]' "$ODD/index.json")
        for n in $(seq 0 $(((1 << ${#layers[@]}) - 1))); do
            rm -rf "$partial" && repo_init "$partial"
            for i in "${!layers[@]}"; do
                ((n >> i & 1)) || continue
                cfs "$repo" oci layer "${layers[i]}" | cfs "$partial" oci import-layer "${layers[i]}" > /dev/null
            done
            store_pull 0 "$partial" "$store" "localhost/$case" "$case"
            assert_same "$image" "$(sed -n 's/^image *//p' <<< "$output")"
            assert_fsck_clean "$partial"
        done
    done
}
