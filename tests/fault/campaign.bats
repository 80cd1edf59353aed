#!/usr/bin/env bats
# A choice of the faults of `make fault`, from every part; CAMPAIGN_SEED chooses others.

load ../lib/common

setup_file() { require_interop && require_program python3 fallocate; }

@test "two minutes of faults: no wrong outcome" {
    local seed=${CAMPAIGN_SEED:-1}
    echo "# seed $seed" >&3
    timeout --kill-after=10 900 "$SPLITFD_TOP/tests/fault/campaign" --build "$BUILD" --seconds 110 --seed "$seed"
}
