#!/usr/bin/env bats
# A choice of the faults of `make fault`, from every part; CAMPAIGN_SEED chooses others.

load ../lib/common

setup_file() { require_interop && require_program python3 fallocate; }

@test "two minutes of faults: no wrong outcome" {
    local seed=${CAMPAIGN_SEED:-1}
    echo "# seed $seed" >&3
    timeout --kill-after=10 900 "$SPLITFD_TOP/tests/fault/campaign" --build "$BUILD" --seconds 110 --seed "$seed"
}

@test "a service tells the reason of each failing look at its repository, the proxy of each failing open" {
    run timeout --kill-after=10 300 "$SPLITFD_TOP/tests/fault/campaign" --build "$BUILD" \
        --part '^(varlink-repo/errno/newfstatat/[3-6][0-9]/EIO|proxy/errno/openat/.*/EDQUOT)'
    assert_same 0 "$status"
    assert_match 'varlink-repo/errno +[0-9]+ +[0-9]+ +[1-9]' "$output"
    assert_match 'proxy/errno +[0-9]+ +[0-9]+ +[1-9]' "$output"
}
