#!/usr/bin/env bats
# What a command gives up before it reads what others wrote (what that means: tests/unit/test-sandbox.c).

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" plain
    store_load debian "$SCRATCH/odd/plain" "$SCRATCH/store" localhost/plain
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    case $BUILD in *address* | *thread*) skip "kernel: a build with a sanitizer keeps everything" ;; esac
    grep -q '^Seccomp:' /proc/self/status || skip "kernel: no seccomp"
    repo=$SCRATCH/repo$BATS_TEST_NUMBER
    repo_init "$repo"
    store_options="--root $SCRATCH/store/root --runroot $SCRATCH/store/run"
}

traced() { # ARGUMENT…
    strace -f -qq -y -o "$SCRATCH/trace" -e trace=landlock_add_rule,landlock_restrict_self,prctl,clone,clone3,execve \
        "$BUILD/splitfd" "$@"
}
# Both were entered, once and with success, and no thread or program is started before that.
assert_confined() { # RULE…: regular expressions
    local rule filter
    filter=$(grep -n 'prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, .*) = 0' "$SCRATCH/trace" | cut -d: -f1)
    assert_match '^[0-9]+$' "$filter"
    ! head -n "$filter" "$SCRATCH/trace" | grep -E 'clone3?\('
    grep -q 'landlock_restrict_self(.*) = 0' "$SCRATCH/trace" || {
        # Only where the kernel has none.
        [ "$(grep -c landlock_add_rule "$SCRATCH/trace")" -eq 0 ] && return
    }
    for rule in "$@"; do
        grep -qE "landlock_add_rule\(.*$rule.* = 0" "$SCRATCH/trace" || { echo "no rule: $rule"; return 1; }
    done
}

@test "pull from podman's store reads below it and writes below the repository" {
    traced pull --repo "$repo" $store_options localhost/plain plain
    assert_confined "MAKE_REG.*parent_fd=[0-9]+<$repo>" "_access=LANDLOCK_ACCESS_FS_READ_FILE\|LANDLOCK_ACCESS_FS_READ_DIR, parent_fd=[0-9]+<$SCRATCH/store/root>"
    ! grep -E "WRITE_FILE.*<$SCRATCH/store" "$SCRATCH/trace"
    assert_cfsctl_accepts "$repo" plain
}

@test "get-layer and import-layer" {
    local layer
    layer=$(store_diff_ids "$SCRATCH/store" localhost/plain:latest)
    traced get-layer --format=tar $store_options localhost/plain "$layer" > "$SCRATCH/tar"
    assert_confined "<$SCRATCH/store/root>"
    ! grep -E "WRITE_FILE" "$SCRATCH/trace"
    assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
    traced import-layer --format=tar --repo "$repo" "$layer" < "$SCRATCH/tar"
    assert_confined "WRITE_FILE.*<$repo>"
    [ -L "$repo/streams/oci-layer-$layer" ]
}

@test "a pull through skopeo: skopeo runs unconfined, splitfd not" {
    strace -f -qq -y -o "$SCRATCH/trace" -e trace=landlock_add_rule,landlock_restrict_self,prctl,execve \
        "$BUILD/splitfd" pull --insecure-policy --repo "$repo" "oci:$SCRATCH/odd/plain" plain
    grep -q 'prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, .*) = 0' "$SCRATCH/trace"
    # It was started before.
    [ "$(grep -nE 'execve\(.*skopeo' "$SCRATCH/trace" | head -n 1 | cut -d: -f1)" -lt \
        "$(grep -n PR_SET_SECCOMP "$SCRATCH/trace" | head -n 1 | cut -d: -f1)" ]
    assert_cfsctl_accepts "$repo" plain
}
