#!/usr/bin/env bats
# Repositories whose objects have fs-verity by the kernel, on kernels that have it, judged by that kernel and by cfsctl.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop && require_machine && require_newer || return 0
    scratch_make
    export STORE=$SCRATCH/store
    python3 "$SPLITFD_TOP/tests/fault/tiny-image.py" "$SCRATCH/tars" 19
    python3 "$LIB/make-layout.py" "$SCRATCH/layout" tiny "gzip:$SCRATCH/tars/0.tar" "gzip:$SCRATCH/tars/1.tar" \
        "plain:$SCRATCH/tars/2.tar"
    store_load debian "$SCRATCH/layout:tiny" "$STORE" localhost/tiny
    tree_of "$(suite_podman debian "$STORE" -- image mount localhost/tiny)" > "$SCRATCH/podman"
    suite_podman debian "$STORE" -- image unmount localhost/tiny > /dev/null
    unmount_below "$STORE"
}
teardown_file() { scratch_drop; }

in_machine() { # KERNEL PART…
    local kernel=$1 part disks=()
    shift
    for part in "$@"; do
        truncate -s 512M "$SCRATCH/$part.disk"
        disks+=(--disk "$SCRATCH/$part.disk")
    done
    run "$LIB/machine" --kernel "$kernel" "${disks[@]}" \
        env "SCRATCH=$SCRATCH" bash "$LIB/verity-machine.bash" "$@"
    echo "$output"
    [ "$status" -eq 0 ]
    # Each line was a test that passed.
    assert_same "1..$(grep -c '^ok ' <<< "$output")" "$(tail -n 1 <<< "$output")"
}

@test "Debian 12's kernel: ext4 with SHA-256, and which kernel a mount needs" {
    in_machine 6.1 old-sha256
}

@test "btrfs: the kernel dies right after init; files that cannot be opened any more" {
    truncate -s 512M "$SCRATCH/cut.disk"
    run "$LIB/machine" --disk "$SCRATCH/cut.disk" env "SCRATCH=$SCRATCH" bash "$LIB/verity-machine.bash" cut-sha256
    echo "$output"
    [ "$status" -eq 99 ]
    refute grep -q '^not ok' <<< "$output"
    mv "$SCRATCH/cut.disk" "$SCRATCH/after-sha256.disk"
    in_machine newest after-sha256
}

@test "the newest kernel: ext4 with SHA-512, btrfs with SHA-256, blocks of 1024 bytes" {
    in_machine newest ext4-sha512 btrfs-sha256 small-sha512
}
