#!/usr/bin/env bats
# What a command gives up before it reads what others wrote, and that it does its work all the same
# (what giving up means: tests/unit/test-sandbox.c).

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/sandbox

setup_file() {
    require_interop || return 0
    scratch_make
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" plain
    store_load debian "$SCRATCH/odd/plain" "$SCRATCH/store" localhost/plain
    export PROBE_FILE=$SCRATCH/secret PROBE_DIR=$SCRATCH/elsewhere
    mkdir "$PROBE_DIR"
    echo secret > "$PROBE_FILE"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    require_sandbox
    repo=$SCRATCH/repo$BATS_TEST_NUMBER
    repo_init "$repo"
    store_options="--root $SCRATCH/store/root --runroot $SCRATCH/store/run"
}
traced() { # ARGUMENT…
    strace -f -qq -y -o "$SCRATCH/trace" \
        -e trace=landlock_add_rule,landlock_restrict_self,seccomp,clone,clone3,execve "$BUILD/splitfd" "$@"
}
line_of() { grep -nE "$1" "$SCRATCH/trace" | head -n 1 | cut -d: -f1; }
# Both were entered, and no thread or program is started before that.
assert_confined() { # RULE…: regular expressions
    local rule end
    end=$(line_of 'landlock_restrict_self\(.*\) = 0')
    assert_match '^[0-9]+$' "$end"
    head -n "$end" "$SCRATCH/trace" > "$SCRATCH/before"
    grep -qE 'seccomp\(SECCOMP_SET_MODE_FILTER, .*TSYNC.*\) = 0' "$SCRATCH/before"
    refute grep -E 'clone3?\(' "$SCRATCH/before" || return 1
    for rule in "$@"; do
        grep -qE "landlock_add_rule\(.*$rule.* = 0" "$SCRATCH/before" || { echo "no rule: $rule"; return 1; }
    done
}
@test "the filter is part of the program: libseccomp is not opened at run time" {
    refute grep -qa libseccomp "$BUILD/splitfd"
    strace -f -qq -e trace=openat -o "$SCRATCH/opened" "$BUILD/splitfd" pull --repo "$repo" $store_options localhost/plain plain
    refute grep libseccomp "$SCRATCH/opened"
}

@test "pull from podman's store: the probe gets at nothing" {
    probed pull --repo "$repo" $store_options localhost/plain plain
    assert_probe read=13 list=13 make=13 run=1 connect=1 umount=1
    assert_cfsctl_accepts "$repo" plain
}

@test "pull --no-sandbox: the same probe gets at everything" {
    probed pull --no-sandbox --repo "$repo" $store_options localhost/plain plain
    assert_probe read=0 list=0 make=0 run=0 connect=0 umount=2
}

@test "import-layer: reading is free, for directories that come along; nothing else is" {
    local layer
    layer=$(store_diff_ids "$SCRATCH/store" localhost/plain:latest)
    "$BUILD/splitfd" get-layer --format=tar $store_options localhost/plain "$layer" > "$SCRATCH/tar"
    probed import-layer --format=tar --repo "$repo" "$layer" < "$SCRATCH/tar"
    assert_probe read=0 list=0 make=13 run=1 connect=1 umount=1
    [ -L "$repo/streams/oci-layer-$layer" ]
}

@test "pull: rules for the store and for the repository, and no others that write" {
    traced pull --repo "$repo" $store_options localhost/plain plain
    assert_confined "MAKE_REG.*parent_fd=[0-9]+<$repo>" \
        "_access=LANDLOCK_ACCESS_FS_READ_FILE\|LANDLOCK_ACCESS_FS_READ_DIR, parent_fd=[0-9]+<$SCRATCH/store/root>"
    [ "$(grep -cE 'MAKE_REG' "$SCRATCH/before")" -eq 1 ]
    refute grep -E 'add_rule\(.*MAKE_(CHAR|BLOCK|FIFO|SOCK)' "$SCRATCH/before"
}

@test "get-layer: nothing is written but what is kept aside, and no name is made" {
    local layer
    layer=$(store_diff_ids "$SCRATCH/store" localhost/plain:latest)
    TMPDIR=$PROBE_DIR traced get-layer --format=tar $store_options localhost/plain "$layer" > "$SCRATCH/tar"
    assert_confined "<$SCRATCH/store/root>" "WRITE_FILE.*<$PROBE_DIR>"
    refute grep -E 'MAKE_|REMOVE' "$SCRATCH/before"
    assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
}

# Podman mounts overlay/ on itself while the store is in use, and takes that away with MNT_DETACH.
@test "get-layer: a mount of the store that is taken away meanwhile" {
    mkdir -p "$SCRATCH/many/files"
    for i in {1..2000}; do head -c 4000 /dev/urandom > "$SCRATCH/many/files/$i"; done
    tar -C "$SCRATCH/many" -cf "$SCRATCH/many.tar" files
    suite_podman debian "$SCRATCH/store" -- import --quiet "$SCRATCH/many.tar" localhost/many
    taken_away() { # the layer's tar, of which the mount sees only the start
        mount --bind "$SCRATCH/store/root/overlay" "$SCRATCH/store/root/overlay"
        "$BUILD/splitfd" get-layer --format=tar $store_options localhost/many 0 | {
            dd bs=512 count=1 status=none
            umount -l "$SCRATCH/store/root/overlay"
            cat
        }
    }
    export -f taken_away
    export store_options
    assert_same "$("$BUILD/splitfd" get-layer --format=tar $store_options localhost/many 0 | sha256sum)" \
        "$(unshare --mount bash -c 'set -o pipefail; taken_away | sha256sum')"
}

@test "get-layer from a repository reads that only" {
    local layer
    layer=$(store_diff_ids "$SCRATCH/store" localhost/plain:latest)
    "$BUILD/splitfd" pull --repo "$repo" $store_options localhost/plain plain > /dev/null
    traced get-layer --format=tar --repo "$repo" composefs:plain "$layer" > "$SCRATCH/tar"
    assert_confined "READ_FILE\|LANDLOCK_ACCESS_FS_READ_DIR, parent_fd=[0-9]+<$repo>"
    refute grep -E 'MAKE_|REMOVE' "$SCRATCH/before"
    assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
}

@test "a pull through skopeo: skopeo is started before and runs unconfined, splitfd does not" {
    traced pull --insecure-policy --repo "$repo" "oci:$SCRATCH/odd/plain" plain
    grep -qE 'landlock_add_rule\(.*MAKE_REG.*'"<$repo>" "$SCRATCH/trace"
    [ "$(line_of 'execve\(.*skopeo')" -lt "$(line_of 'landlock_restrict_self\(.*\) = 0')" ]
    assert_cfsctl_accepts "$repo" plain
}

@test "a pull through skopeo: the probe can read, and no more" {
    probed pull --insecure-policy --repo "$repo" "oci:$SCRATCH/odd/plain" plain
    assert_probe read=0 list=0 make=13 run=1 connect=1 umount=1
}

@test "serve of a store: confined in every thread, and its socket is gone at the end" {
    local pid task socket=$SCRATCH/serve.socket
    "$BUILD/splitfd" serve $store_options --socket "$socket" 3>&- &
    pid=$!
    await "$pid" test -S "$socket"
    "$BUILD/splitfd" pull --repo "$repo" "varlink:$socket#localhost/plain" plain
    for task in "/proc/$pid/task"/*/status; do
        grep -qE '^Seccomp:\s*2$' "$task"
        grep -qE '^NoNewPrivs:\s*1$' "$task"
    done
    kill "$pid"
    wait "$pid"
    [ ! -e "$socket" ]
    assert_cfsctl_accepts "$repo" plain
}

@test "a pull from a service: the probe can read, and no more" {
    local pid protocol socket=$SCRATCH/serve.socket
    for protocol in varlink jsonrpc; do
        "$BUILD/splitfd" serve --protocol="$protocol" $store_options --socket "$socket" 3>&- &
        pid=$!
        await "$pid" test -S "$socket"
        rm -rf "$repo" && repo_init "$repo"
        probed pull --repo "$repo" "$protocol:$socket#localhost/plain" plain
        kill "$pid"
        wait "$pid"
        assert_probe read=0 list=0 make=13 run=1 connect=1 umount=1
    done
}

@test "what the sandbox refuses is said to be its doing" {
    strace -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EACCES \
        "$BUILD/splitfd" pull --repo "$repo" $store_options localhost/plain plain > /dev/null 2> "$SCRATCH/said" && return 1
    cat "$SCRATCH/said"
    grep -q 'the sandbox may have refused it: --no-sandbox' "$SCRATCH/said"
    strace -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EACCES \
        "$BUILD/splitfd" pull --no-sandbox --repo "$repo" $store_options localhost/plain plain > /dev/null 2> "$SCRATCH/said" && return 1
    refute grep -q 'sandbox' "$SCRATCH/said"
}
