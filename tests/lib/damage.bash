# Stores that are damaged on purpose. GOLDEN is a store that stays whole; each test works on a copy.

damage_setup_file() { # SIZE of the file system
    require_interop || return 0
    scratch_make
    SMALL=$("$LIB/images" small)
    fs_make xfs "$SCRATCH/x" "${1:-4G}"
    export SMALL GOLDEN=$SCRATCH/x/golden
    store_load debian "$SMALL" "$GOLDEN" localhost/small
    unmount_below "$GOLDEN"
}

# A copy of the golden store in $store with $layers (IDs, base first), a new repository in $repo.
damage_setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    store=$SCRATCH/x/s$BATS_TEST_NUMBER repo=$SCRATCH/x/r$BATS_TEST_NUMBER
    cp -a --reflink=always "$GOLDEN" "$store"
    repo_init "$repo"
    local d
    layers=()
    for d in $(store_diff_ids "$store" localhost/small:latest); do layers+=("$(store_layer_ids "$store" "$d")"); done
    middle=$store/root/overlay/${layers[1]}/diff/opt/odd
}
damage_teardown() {
    [ -z "${store:-}" ] || { unmount_below "$store"; rm -rf "$store" "$repo"; }
}

tar_split_of() { echo "$store/root/overlay-layers/${layers[$1]}.tar-split.gz"; }
layers_json() { echo "$store/root/overlay-layers/layers.json"; }
images_json() { echo "$store/root/overlay-images/images.json"; }
# edit_json FILE FILTER [jq ARGUMENT…]
edit_json() {
    local file=$1 filter=$2
    shift 2
    jq -c "$@" "$filter" "$file" > "$file.edited"
    mv "$file.edited" "$file"
}
edit_layer() { # INDEX FILTER
    edit_json "$(layers_json)" "map(if .id == \$id then $2 else . end)" --arg id "${layers[$1]}"
}

# The pull fails with this code, says why in one sentence, and leaves nothing that can be seen.
assert_refused() { # CODE REGEX [OPTION…]
    local code=$1 regex=$2
    shift 2
    store_pull "$code" "$repo" "$store" localhost/small small -- "$@"
    assert_one_error "$regex"
    assert_nothing_visible "$repo"
    cfs "$repo" fsck > /dev/null
}
assert_one_error() { # REGEX
    assert_same 1 "$(wc -l <<< "$errors")"
    assert_match '^splitfd [a-z-]+: ' "$errors"
    assert_match "$1" "$errors"
    assert_empty "$output"
}
