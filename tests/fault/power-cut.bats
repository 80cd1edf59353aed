#!/usr/bin/env bats
# Power cuts in the middle of a pull: the next pull makes the repository whole, and what was called done is whole.

load ../lib/common

setup_file() {
    require_interop && require_program python3 qemu-storage-daemon || return 0
    [ -c /dev/fuse ] || missing "kernel: no /dev/fuse"
}

# The same cuts each time; POWER_CUT_SEED chooses others.
cut() { # KIND
    local seed=${POWER_CUT_SEED:-16}
    echo "# seed $seed" >&3
    timeout --kill-after=10 300 "$SPLITFD_TOP/tests/fault/power-cut" --build "$BUILD" --kind "$1" --points 30 --seed "$seed"
}

@test "30 cuts on XFS, clones" { cut xfs; }
@test "30 cuts on XFS, copies" { cut xfs-copy; }
@test "30 cuts on ext4" { cut ext4; }
@test "30 cuts on btrfs" { cut btrfs; }
