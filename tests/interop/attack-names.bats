#!/usr/bin/env bats
# A peer of another user names files that it cannot open: it learns nothing of them, and gets none of them
# stored. What it can open is taken as before.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/rootless
load ../lib/varlink

setup_file() {
    require_interop || return 0
    require_program useradd setpriv python3 || return 0
    scratch_make
    user_make
    export TOOL=$USER_BIN/attack-names.py REPO=$SCRATCH/repo SECRET=$SCRATCH/secrets
    install -m 755 "$LIB/attack-names.py" "$LIB/varlink_client.py" "$USER_BIN/"
    install -d -m 700 "$SECRET"
    seq 1 3000 | sed s/^/secret/ > "$SECRET/file"
    install -m 600 "$SECRET/file" "$SCRATCH/private"
    install -d -m 755 "$USER_HOME/own"
    install -m 600 -o "$USER_NAME" "$SECRET/file" "$USER_HOME/own/file"
    chmod 711 "$USER_HOME"
    export SIZE=$(stat -c %s "$SECRET/file")
    export DIFF_ID=sha256:$("$TOOL" tar "$SECRET/file" | sha256sum | cut -d' ' -f1)
}
teardown_file() {
    user_drop
    scratch_drop
}
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
    S=$SCRATCH/s$BATS_TEST_NUMBER
    repo_init "$REPO"
}
teardown() {
    stop_services
    rm -rf "$REPO"
}


@test "PutLayer to root's service: neither size, nor digest, nor content of what only root can open" {
    serve "$S" --repo "$REPO" --allow-any
    as_user "$TOOL" put "$S" "$REPO" / "${SCRATCH#/}/private" "$SIZE" "$DIFF_ID"
    as_user "$TOOL" put "$S" "$REPO" / "${SECRET#/}/file" "$SIZE" "$DIFF_ID"
    assert_silent find "$REPO" -name "*$DIFF_ID*"
    # The same layer from a file of the user's own, and from root.
    as_user "$TOOL" put "$S" "$REPO" "$USER_HOME/own" file "$SIZE" "$DIFF_ID" own
    [ -L "$REPO/streams/oci-layer-$DIFF_ID" ]
    stop_services
    rm -rf "$REPO"
    repo_init "$REPO"
    serve "$S" --repo "$REPO" --allow-any
    "$TOOL" put "$S" "$REPO" "$SECRET" file "$SIZE" "$DIFF_ID" own
    [ -L "$REPO/streams/oci-layer-$DIFF_ID" ]
}

@test "the groups of the peer count, and no others" {
    chgrp "$USER_NAME" "$SCRATCH/private"
    chmod 640 "$SCRATCH/private"
    serve "$S" --repo "$REPO" --allow-any
    as_user "$TOOL" put "$S" "$REPO" "$SCRATCH" private "$SIZE" "$DIFF_ID" own
    stop_services
    rm -rf "$REPO"
    repo_init "$REPO"
    chgrp 0 "$SCRATCH/private"
    serve "$S" --repo "$REPO" --allow-any
    as_user "$TOOL" put "$S" "$REPO" "$SCRATCH" private "$SIZE" "$DIFF_ID"
    chmod 600 "$SCRATCH/private"
}

@test "a service without root takes no names of other users, and content of theirs all the same" {
    local home=$SCRATCH/other
    install -d -m 777 "$home"
    install -d -o 12345 -m 700 "$home/private"
    install -o 12345 -m 600 "$SECRET/file" "$home/private/file"
    setpriv --reuid=12345 --regid=12345 --clear-groups "$USER_BIN/splitfd" init --insecure --repo "$home/repo"
    background "$home/s" setpriv --reuid=12345 --regid=12345 --clear-groups "$USER_BIN/splitfd" serve --socket "$home/s" \
        --repo "$home/repo" --allow-any
    as_user "$TOOL" put "$home/s" "$home/repo" / "${home#/}/private/file" "$SIZE" "$DIFF_ID"
    run as_user "$TOOL" put "$home/s" "$home/repo" "$USER_HOME/own" file "$SIZE" "$DIFF_ID" own
    assert_match "needs root" "$output"
    rm -rf "$home"
}

@test "a service in a user namespace: 65534 is every user without a number there" {
    local home=$SCRATCH/other
    install -d -m 777 "$home"
    setpriv --reuid=12345 --regid=12345 --clear-groups "$USER_BIN/splitfd" init --insecure --repo "$home/repo"
    background "$home/s" setpriv --reuid=12345 --regid=12345 --clear-groups unshare --map-root-user "$USER_BIN/splitfd" \
        serve --socket "$home/s" --repo "$home/repo" --allow-uid 65534
    run as_user "$TOOL" put "$home/s" "$home/repo" "$USER_HOME/own" file "$SIZE" "$DIFF_ID" own
    assert_match PermissionDenied "$output"
    assert_silent find "$home/repo" -name "*$DIFF_ID*"
    stop_services
    rm -rf "$home"
}

@test "root's pull from a user's service: nothing of what that user cannot open" {
    user_attack() { # DIRECTORY NAME
        rm -f "$USER_HOME/s"
        background "$USER_HOME/s" bash -c '. "$LIB/rootless.bash"; as_user "$TOOL" serve "$@"' - "$USER_HOME/s" "$@" "$SIZE" "$DIFF_ID"
    }
    user_attack / "${SECRET#/}/file"
    run_splitfd 4 pull --repo "$REPO" --no-image "varlink:$USER_HOME/s#image" stolen
    assert_match "Permission denied, for user [0-9]+, who named it$" "$errors"
    assert_silent find "$REPO" -name "*$DIFF_ID*"
    stop_services
    user_attack "$USER_HOME/own" file
    run_splitfd 0 pull --repo "$REPO" --no-image "varlink:$USER_HOME/s#image" own
    [ -L "$REPO/streams/oci-layer-$DIFF_ID" ]
}
