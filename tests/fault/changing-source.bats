# Layers whose files are changed while they are read: every object has the content that its name says.
# `tests/fault/changing-source 2000` is the long campaign.
load ../lib/common

setup_file() { require_root; require_program skopeo; }

# Each kind of source by every command, with a seed that is printed.
sample() { # FILESYSTEM N
    require_root
    require_program skopeo
    run timeout 280 "$SPLITFD_TOP/tests/fault/changing-source" --only "$1/" "$2" "${WRITER_SEED:-1}"
    echo "$output"
    [ "$status" -eq 0 ]
    assert_match 'stored, .* 0 failed, 0 wrong' "${lines[-1]}"
}

# bats test_tags=fault
@test "XFS: clones" { sample xfs 20; }

# bats test_tags=fault
@test "btrfs: clones" { sample btrfs 15; }

# bats test_tags=fault
@test "ext4: copies" { sample ext4 15; }

# bats test_tags=fault
@test "tmpfs: copies, and no leases" { sample tmpfs 20; }

# bats test_tags=fault
@test "descriptors of memory that others write" { sample memfd 20; }
