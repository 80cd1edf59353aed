#!/usr/bin/env bats
# The odd layers of tests/lib/odd-layers.py and a large image by `splitfd push` into `cfsctl varlink`, and
# from there by `splitfd pull`: as cfsctl's own pull and ours from the store, or one error that says why
# not. cfsctl makes no image of some odd layers that we can make one of; then it says so.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    require_program python3 || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 8G
    export ODD=$SCRATCH/x/odd STORE=$SCRATCH/x/store SOCKET=$SCRATCH/socket
    export PULLED=$SCRATCH/x/pulled PUSHED=$SCRATCH/x/pushed BACK=$SCRATCH/x/back ORACLE=$SCRATCH/x/oracle
    "$LIB/odd-layers.py" "$ODD"
    local case n
    for case in $(jq -r '.[].case' "$ODD/index.json"); do
        store_load debian "$ODD/$case" "$STORE" "localhost/$case"
    done
    for n in "$PULLED" "$PUSHED" "$BACK" "$ORACLE"; do repo_init "$n"; done
    "$CFSCTL" --insecure varlink --address "$SOCKET" > /dev/null 2>&1 < /dev/null 3>&- &
    export SERVICE_PID=$!
    for n in $(seq 200); do [ ! -S "$SOCKET" ] || return 0; sleep 0.05; done
    return 1
}
teardown_file() {
    [ -z "${SERVICE_PID:-}" ] || kill "$SERVICE_PID"
    scratch_drop
}

push() { # CODE REPO IMAGE NAME
    run_splitfd "$1" push --to "$SOCKET" --repo "$2" --root "$STORE/root" --runroot "$STORE/run" "$3" "$4"
}

# An image as it is in PULLED: exact where we wrote it; cfsctl's libzstd may be another one.
assert_as_pulled() { # exact|content REPO TAG
    assert_same_streams "$1" "$2" "$3" "$PULLED" &&
        assert_same "$(cfs "$PULLED" oci inspect "$3" --manifest)" "$(cfs "$2" oci inspect "$3" --manifest)" &&
        assert_same "$(cfs "$PULLED" oci compute-id "$3")" "$(cfs "$2" oci compute-id "$3")"
}

# In, compared, and out again.
judge_image() { # TAG
    push 0 "$PUSHED" "localhost/$1" "$1" && assert_as_pulled content "$PUSHED" "$1" &&
        assert_layers_exact "$PUSHED" "$1" &&
        run_splitfd 0 pull --repo "$BACK" --from-repo "$PUSHED" "varlink:$SOCKET#$1" "$1" &&
        assert_as_pulled exact "$BACK" "$1"
}

# cfsctl makes no image: what it says, in one line. The layers have come all the same.
judge_unmountable() { # TAG SAID
    local d
    push 1 "$PUSHED" "localhost/$1" "$1" && assert_same 1 "$(wc -l <<< "$errors")" &&
        assert_match 'FinalizeImage: org.composefs.Oci.InternalError: ' "$errors" || return 1
    [[ $2 == *"${errors##*InternalError: }"* ]] || { printf 'cfsctl itself says: %s\n' "$2"; return 1; }
    for d in $(tag_diff_ids "$PULLED" "$1" | sort -u); do
        assert_same "$d" "sha256:$(cfs "$PUSHED" oci layer "$d" | sha256sum | cut -d' ' -f1)" || return 1
    done
    refute cfs "$PUSHED" oci inspect "$1" > /dev/null 2>&1
}

judge_exact() { # CASE
    local said
    # What is said on stderr of an image that cannot be mounted is no failure.
    SPLITFD_STDERR_OK=1 store_pull 0 "$PULLED" "$STORE" "localhost/$1" "$1" || return 1
    if said=$(cfs "$ORACLE" oci pull "oci:$ODD/$1" "$1" 2>&1); then
        judge_image "$1" && assert_same_streams exact "$PUSHED" "$1" "$ORACLE"
    else
        unmountable=$((unmountable + 1))
        judge_unmountable "$1" "$(tr '\n' ' ' <<< "$said")"
    fi
}
judge_refused() { # CASE
    push '1|4' "$PUSHED" "localhost/$1" "$1" && assert_same 1 "$(wc -l <<< "$errors")" &&
        assert_match "$(jq -r --arg c "$1" '.[] | select(.case == $c) | .reason' "$ODD/index.json")" "$errors" &&
        refute cfs "$PUSHED" oci inspect "$1" > /dev/null 2>&1
}

@test "odd layers: in by push, out by pull" {
    local case failed=() n=0 unmountable=0 expect
    while read -r case expect; do
        "judge_$expect" "$case" > "$SCRATCH/judged" 2>&1 < /dev/null || {
            failed+=("$case")
            sed "s/^/$case: /" "$SCRATCH/judged"
        }
        n=$((n + 1))
    done < <(jq -r '.[] | "\(.case) \(.expect)"' "$ODD/index.json")
    echo "failed: ${failed[*]}; cfsctl makes no image of $unmountable"
    [ ${#failed[@]} -eq 0 ] && [ $n -ge 40 ] && [ $unmountable -le 10 ]
    assert_fsck_clean "$PUSHED"
    assert_fsck_clean "$BACK"
}

@test "a Debian with python, gcc, perl and git" {
    unmount_below "$STORE"
    "$LIB/images" build real "$STORE"
    store_pull 0 "$PULLED" "$STORE" localhost/real real
    judge_image real
    assert_fsck_clean "$PUSHED"
    assert_fsck_clean "$BACK"
}
