#!/usr/bin/env bats
# The table of splitfd(1), SANDBOX, command by command: what a process that was taken over gets at.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/sandbox

setup_file() {
    require_root && require_program podman skopeo python3 gcc jq || return 0
    scratch_make
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" plain
    store_load debian "$SCRATCH/odd/plain" "$SCRATCH/store" localhost/plain
    export PROBE_FILE=$SCRATCH/secret PROBE_DIR=$SCRATCH/elsewhere
    mkdir "$PROBE_DIR"
    echo secret > "$PROBE_FILE"
    store_options="--root $SCRATCH/store/root --runroot $SCRATCH/store/run"
    repo_init "$SCRATCH/repo"
    "$BUILD/splitfd" pull --repo "$SCRATCH/repo" $store_options localhost/plain plain > /dev/null
    layer=$(store_diff_ids "$SCRATCH/store" localhost/plain:latest)
    export store_options layer
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    require_sandbox
    repo=$SCRATCH/repo
}

# Each command of standard input: nothing but what is said of reading; and, unconfined, all of it.
each_is_confined() { # READ: 13, or 0 where reading is free
    local command
    while read -r command; do
        echo "$command"
        probed $command < /dev/null
        assert_probe read="$1" list="$1" make=13 run=1 connect=1 umount=1
        probed $command --no-sandbox < /dev/null
        assert_probe read=0 list=0 make=0 run=0 connect=0 umount=2
    done
}

@test "what reads a repository reads that, and writes nothing" {
    printf '\373\377\377\377\377\377\377\377hello' > "$SCRATCH/wire" # five inline bytes
    each_is_confined 13 <<- EOF
	fsck --repo $repo
	images --repo $repo
	inspect --repo $repo plain
	layers --repo $repo plain
	dump --repo $repo plain
	compute-id --repo $repo plain
	stream dump --repo $repo $layer
	stream cat --repo $repo $layer
	stream check --repo $repo $layer
	stream dump $SCRATCH/wire
	EOF
}
