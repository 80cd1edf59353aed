#!/usr/bin/env bats
# Many files, large files, few descriptors, little memory.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 12G
}
teardown_file() { scratch_drop; }
teardown() {
    unmount_below "$SCRATCH/x/s"
    rm -rf "${SCRATCH:?}"/x/s "$SCRATCH"/x/r*
}

# Pulls under limits of prlimit.
measured_pull() { # IMAGE LIMITS…
    local image=$1
    shift
    repo_init "$SCRATCH/x/r"
    SPLITFD_RUN="prlimit $*" SPLITFD_TIMEOUT=1200 \
        store_pull 0 "$SCRATCH/x/r" "$SCRATCH/x/s" "localhost/$image" "$image"
}

@test "100,000 small files under ulimit -n 64" {
    "$LIB/images" build many "$SCRATCH/x/s"
    measured_pull many --nofile=64
    assert_same 0 "$(objects_number copied)"
    [ "$(objects_number reflinked)" -gt 90000 ]
    assert_fsck_clean "$SCRATCH/x/r"
    assert_layers_exact "$SCRATCH/x/r" many
    cfs "$SCRATCH/x/r" oci compute-id many
}

@test "three files of 1 GiB in 1 GiB of address space" {
    "$LIB/images" build big "$SCRATCH/x/s"
    if [ "${SANITIZED:-}" = yes ]; then measured_pull big --nofile=64; else
        measured_pull big --nofile=64 --as=1073741824
    fi
    assert_same 0 "$(objects_number copied)"
    assert_same 3 "$(objects_number reflinked)"
    assert_layers_exact "$SCRATCH/x/r" big
}
