#!/usr/bin/env bats
# The table of splitfd(1), SANDBOX, command by command: what a process that was taken over gets at.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink
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
teardown() { stop_services; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    require_sandbox
    export PROBE_PID=$$
    signal=0 # ABI 6
    [ "$(landlock_version)" -lt 6 ] || signal=1
    repo=$SCRATCH/repo pids=()
}

assert_confined_probe() { # READ: 13, or 0 where reading is free
    assert_probe read="$1" list="$1" make=13 run=1 connect=1 umount=1 chmod=1 suid=1 sgid=1 all-write=1 plain=0 create-suid=1 \
        chown=1 xattr=1 fifo=1 written-code=1 made-code=1 signal="$signal"
}

readonly DAC_OVERRIDE=1 DAC_READ_SEARCH=2 FOWNER=3 KILL=5 SYS_ADMIN=21 SYS_RESOURCE=24 LEASE=28
capabilities() { # NUMBER…: those that there are here, as /proc/PID/status shows them
    local n sum=0 ours
    ours=$(sed -n 's/^CapEff:\s*/0x/p' /proc/self/status)
    for n in "$@"; do sum=$((sum | 1 << n)); done
    printf '%016x' $((sum & ours))
}

# Each command of standard input: nothing but what is said of reading; and, unconfined, all of it.
each_is_confined() { # READ CAPABILITY…: by their numbers
    local read=$1 command kept
    shift
    kept=$(capabilities "$@")
    while read -r command; do
        echo "$command"
        probed $command < /dev/null
        assert_confined_probe "$read"
        assert_probe CapEff="$kept" CapBnd="$kept"
        probed $command --no-sandbox < /dev/null
        assert_probe read=0 list=0 make=0 run=0 connect=0 umount=2 chmod=0 suid=0 sgid=0 all-write=0 create-suid=0 chown=0 fifo=2 \
            written-code=0 made-code=0 signal=0
        refute grep -x 'probe: xattr 1' "$SCRATCH/probe"
    done
}

@test "what reads a repository reads that, and writes nothing" {
    printf '\373\377\377\377\377\377\377\377hello' > "$SCRATCH/wire" # five inline bytes
    each_is_confined 13 $DAC_READ_SEARCH <<- EOF
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

@test "what reads a store reads that, and writes a repository at most" {
    repo_init "$SCRATCH/new"
    mkdir "$SCRATCH/tmp"
    export TMPDIR=$SCRATCH/tmp # what is below it is not protected
    each_is_confined 13 $DAC_OVERRIDE $DAC_READ_SEARCH $FOWNER $SYS_ADMIN $SYS_RESOURCE $LEASE <<- EOF
	pull --repo $SCRATCH/new $store_options localhost/plain plain
	EOF
    each_is_confined 13 $DAC_OVERRIDE $DAC_READ_SEARCH $SYS_ADMIN <<- EOF
	get-layer --format=tar $store_options localhost/plain $layer
	EOF
    each_is_confined 13 $DAC_READ_SEARCH <<- EOF
	get-layer --format=tar --repo $repo composefs:plain $layer
	EOF
}

@test "what another process sends may name directories: reading is free, no more" {
    repo_init "$SCRATCH/other"
    "$BUILD/splitfd" get-layer --format=tar $store_options localhost/plain "$layer" > "$SCRATCH/tar"
    probed import-layer --format=tar --repo "$SCRATCH/other" "$layer" < "$SCRATCH/tar"
    assert_confined_probe 0
    assert_probe CapEff="$(capabilities $DAC_OVERRIDE $DAC_READ_SEARCH $FOWNER $SYS_RESOURCE $LEASE)"
    export TMPDIR=$SCRATCH/other
    probed get-layer --format=tar tar:- < "$SCRATCH/tar"
    assert_confined_probe 0
    assert_probe CapEff="$(capabilities $DAC_READ_SEARCH)"
    rm -rf "$SCRATCH/other" && repo_init "$SCRATCH/other"
    signal=0 # skopeo, which may have to be ended
    probed pull --insecure-policy --repo "$SCRATCH/other" "oci:$SCRATCH/odd/plain" plain
    assert_confined_probe 0
    assert_probe CapEff="$(capabilities $DAC_OVERRIDE $DAC_READ_SEARCH $FOWNER $KILL $SYS_RESOURCE $LEASE)"
}

@test "fsck --repair and mount: each image is read by a process that is confined" {
    export TMPDIR=$SCRATCH/repair-tmp
    mkdir "$TMPDIR" "$SCRATCH/at"
    probed fsck --repo "$repo" --repair $store_options localhost/plain
    assert_same 2 "$(grep -c '^probe: read 13$' "$SCRATCH/probe")"
    assert_confined_probe 13
    refute grep -x 'probe: run 0' "$SCRATCH/probe"
    signal=0
    probed mount --repo "$repo" plain "$SCRATCH/at"
    umount "$SCRATCH/at"
    assert_same "read 13,read 0," "$(sed -n 's/^probe: \(read.*\)/\1,/p' "$SCRATCH/probe" | tr -d '\n')"
    assert_confined_probe 13
}

@test "serve of a store: its calls are answered, its capabilities are few, its socket is removed" {
    local pid protocol kept socket=$SCRATCH/serve.socket
    kept=$(capabilities $DAC_OVERRIDE $DAC_READ_SEARCH $SYS_ADMIN)
    for protocol in varlink jsonrpc; do
        pids=()
        background "$socket" "$BUILD/splitfd" serve --allow-any --protocol="$protocol" $store_options --socket "$socket"
        pid=${pids[0]}
        assert_same 666 "$(stat -c %a "$socket")"
        rm -rf "$SCRATCH/served" && repo_init "$SCRATCH/served"
        probed pull --repo "$SCRATCH/served" "$protocol:$socket#localhost/plain" plain
        assert_confined_probe 0
        grep -qE "^CapEff:\s*$kept$" "/proc/$pid/status"
        grep -qE '^Seccomp:\s*2$' "/proc/$pid/status"
        kill "$pid"
        wait "$pid"
        [ ! -e "$socket" ]
    done
    pids=()
}
