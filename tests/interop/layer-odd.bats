#!/usr/bin/env bats
# Every odd layer of tests/lib/odd-layers.py, from all three sources (podman's store, a composefs
# repository, a tar on standard input) in all formats, through get-layer | import-layer: the stream that
# pull gives, and the tar's sha256 is the diff_id. The layers of the Debian image: layer-wire.bats.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    require_program python3 || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 4G
    export ODD=$SCRATCH/x/odd STORE=$SCRATCH/x/store PULLED=$SCRATCH/x/pulled
    "$LIB/odd-layers.py" "$ODD"
    repo_init "$PULLED"
    local case
    for case in $(cases); do
        store_load debian "$ODD/$case" "$STORE" "localhost/$case"
        # Some have no tree that could be mounted; their layers are stored all the same.
        SPLITFD_STDERR_OK=1 store_pull 0 "$PULLED" "$STORE" "localhost/$case" "$case" -- --no-image > /dev/null
    done
}
teardown_file() { scratch_drop; }

# Those that can be had exactly: the others are refused, by pull as by get-layer (layer-exact.bats).
cases() { jq -r '.[] | select(.expect == "exact") | .case' "$ODD/index.json"; }

@test "odd layers: all sources, all formats" {
    cases | python3 "$LIB/wire-matrix.py" "$BUILD/splitfd" "$STORE" "$PULLED" "$SCRATCH/x/work" localhost "$ODD" 3>&- \
        > "$SCRATCH/said" || { tail -n 40 "$SCRATCH/said"; return 1; }
    echo "# $(tail -n 1 "$SCRATCH/said")" >&3
}
