# Composefs repositories: made by splitfd, judged by cfsctl.

repo_init() { # REPO [OPTION…]
    local repo=$1
    shift
    splitfd init --insecure --repo "$repo" "$@" > /dev/null
}

cfs() { # REPO ARGUMENT…
    local repo=$1
    shift
    "$CFSCTL" --repo "$repo" "$@"
}

# Pull from a store by splitfd: store_pull CODE REPO STORE IMAGE [NAME] [-- OPTION…]. $driver sets the driver.
store_pull() {
    local code=$1 repo=$2 store=$3 image=$4 name=
    shift 4
    if [ $# -gt 0 ] && [ "$1" != -- ]; then name=$1; shift; fi
    [ $# -eq 0 ] || shift
    run_splitfd "$code" pull --repo "$repo" --root "$store/root" --runroot "$store/run" \
        --storage-driver "${driver:-overlay}" "$@" "$image" $name
}

# What cfsctl says of a tag: the diff_ids of its layers, base first.
tag_diff_ids() { # REPO TAG
    cfs "$1" oci inspect "$2" --config | jq -r '.rootfs.diff_ids[]'
}

# Every layer of a tag comes back as the bytes that its name says.
assert_layers_exact() { # REPO TAG
    local d got
    for d in $(tag_diff_ids "$1" "$2" | sort -u); do
        got=sha256:$(cfs "$1" oci layer "$d" | sha256sum | cut -d' ' -f1)
        assert_same "$d" "$got" || return 1
    done
}

assert_fsck_clean() { # REPO
    local out
    out=$(cfs "$1" fsck 2>&1) && out=$(cfs "$1" oci fsck 2>&1) && [[ $out == *"status: ok"* ]] ||
        { printf 'cfsctl fsck: %s\n' "$out"; return 1; }
}

# All that cfsctl does with a repository of its own: fsck, list, inspect, dump, compute-id, gc. gc must
# find nothing to remove, or with GARBAGE_OK=1 (after a pull by cfsctl, which leaves some) no name.
assert_cfsctl_accepts() { # REPO TAG
    local repo=$1 tag=$2 before after visible
    assert_fsck_clean "$repo" || return 1
    cfs "$repo" oci images --json | jq -e --arg t "$tag" '.images | any(.name == $t)' > /dev/null ||
        { echo "oci images does not list $tag"; return 1; }
    cfs "$repo" oci inspect "$tag" | jq -e .manifest > /dev/null || return 1
    cfs "$repo" oci dump "$tag" > /dev/null || return 1
    cfs "$repo" oci compute-id "$tag" > /dev/null || return 1
    before=$(repo_names "$repo")
    visible=$(repo_visible "$repo")
    cfs "$repo" gc > /dev/null || return 1
    assert_same "$visible" "$(repo_visible "$repo")" || return 1
    after=$(repo_names "$repo")
    [ -n "${GARBAGE_OK:-}" ] || assert_same "$before" "$after" || return 1
    assert_fsck_clean "$repo" && assert_layers_exact "$repo" "$tag"
}

repo_names() { # REPO: every object, stream and image
    (cd "$1" && find objects streams images \( -type f -o -type l \) -printf '%p %l\n' 2> /dev/null | LC_ALL=C sort)
}
# Names that can be seen: after a pull that failed there must be none.
repo_visible() { # REPO
    (cd "$1" && find streams images \( -type f -o -type l \) 2> /dev/null | LC_ALL=C sort)
}
assert_nothing_visible() { # REPO
    assert_silent repo_visible "$1"
}

# The object a stream name points at, as HEX.
stream_object() { # REPO NAME
    local link
    link=$(readlink "$1/streams/$2") || return 1
    echo "$link" | sed 's|.*objects/||; s|/||'
}

# Layer and config streams of a tag equal those of another repository (cfsctl's own pull of the image):
# assert_same_streams exact|content REPO TAG OTHER. exact: the same names; content: the same objects,
# named references and decompressed bytes, for a libzstd of another version.
assert_same_streams() {
    local how=$1 repo=$2 tag=$3 other=$4 config name
    config=$(cfs "$repo" oci inspect "$tag" --manifest | jq -r .config.digest)
    for name in $(tag_diff_ids "$repo" "$tag" | sort -u | sed 's/^/oci-layer-/') "oci-config-$config"; do
        if [ "$how" = exact ]; then
            assert_same "$name $(stream_object "$other" "$name")" "$name $(stream_object "$repo" "$name")" || return 1
        else
            python3 "$LIB/splitstream.py" "$repo/streams/$name" "$other/streams/$name" || return 1
        fi
    done
}

# The objects of files in the store share all their extents with them.
assert_extents_shared() { # REPO TAG STORE
    local d id n=0 arguments=()
    for d in $(tag_diff_ids "$1" "$2" | sort -u); do
        for id in $(store_layer_ids "$3" "$d"); do
            cfs "$1" oci layer "$d" --dumpfile > "$BATS_TEST_TMPDIR/dump.$n" || return 1
            arguments+=("$3/root/overlay/$id/diff" "$BATS_TEST_TMPDIR/dump.$n")
            n=$((n + 1))
        done
    done
    python3 "$LIB/dumpfile-objects.py" "$1/objects" "${arguments[@]}" > "$BATS_TEST_TMPDIR/pairs" &&
        "$BUILD/tests/lib/fiemap" < "$BATS_TEST_TMPDIR/pairs"
}
# A number on the printed objects line (of $output): objects_number reflinked|copied|bytes-copied|present.
objects_number() {
    local line
    line=$(grep '^objects ' <<< "$output") || return 1
    case $1 in
    reflinked) sed -n 's/.* \([0-9]*\) reflinked .*/\1/p' <<< "$line" ;;
    copied) sed -n 's/.* \([0-9]*\) copied .*/\1/p; s/^objects *\([0-9]*\) new .*/\1/p' <<< "$line" ;;
    bytes-copied) sed -n 's/.* \([0-9.]* [KMGi]*B\) copied, .*/\1/p; s/.*; \([0-9.]* [KMGi]*B\) stored.*/\1/p' <<< "$line" ;;
    present) sed -n 's/.* \([0-9]*\) already present .*/\1/p' <<< "$line" ;;
    esac
}
