#!/usr/bin/env bats
# What a mount of somebody else's image, and a program that the proxy starts, do not get.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop || return 0
    require_program python3 skopeo || return 0
    scratch_make
    export STORE=$SCRATCH/store REPO=$SCRATCH/repo
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    repo_init "$REPO"
    store_pull 0 "$REPO" "$STORE" localhost/small small
    mkdir "$SCRATCH/mount"
}
teardown_file() { scratch_drop; }
setup() { [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"; }

mounted() { # WITH WITHOUT ARGUMENT…
    local with=$1 without=$2 options
    shift 2
    run_splitfd 0 mount --repo "$REPO" "$@" small "$SCRATCH/mount"
    options=$(findmnt -n -o VFS-OPTIONS "$SCRATCH/mount")
    umount "$SCRATCH/mount"
    assert_match "$with" ",$options,"
    [ -z "$without" ] || refute grep -qE "$without" <<< ",$options,"
}

@test "a mounted image has neither set-user-id programs nor devices, unless it is wanted" {
    mounted ',nosuid,nodev,' ''
    mounted ',nodev,' ',nosuid,' --suid
    mounted ',nosuid,' ',nodev,' --dev
    mounted ',ro,' ',no(suid|dev),' --suid --dev
}

@test "the real skopeo does not inherit the client's socket of --sockfd" {
    printf '#!/bin/bash\n[ "$1" != experimental-image-proxy ] || ls -l /proc/$$/fd > "%s"\nexec "%s" "$@"\n' \
        "$SCRATCH/fds" "$(command -v skopeo)" > "$SCRATCH/skopeo"
    chmod 755 "$SCRATCH/skopeo"
    SPLITFD_SKOPEO=$SCRATCH/skopeo python3 - "$BUILD/splitfd" "oci:$("$LIB/images" small)" 3>&- << 'PY'
import json, os, socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
number = os.dup2(theirs.fileno(), 77)
argv = [sys.argv[1], "experimental-image-proxy", "--insecure-policy", "--sockfd", str(number)]
proxy = subprocess.Popen(argv, pass_fds=[number], stdin=subprocess.DEVNULL)
theirs.close()
os.close(number)
for method, args in (("Initialize", []), ("OpenImage", [sys.argv[2]])):
    ours.send(json.dumps({"method": method, "args": args}).encode())
    reply = json.loads(ours.recv(65536))
    assert reply["success"], reply
ours.close()
assert proxy.wait(30) == 0
PY
    grep -q ' 0 -> socket' "$SCRATCH/fds"
    refute grep -qE ' (77|[3-9]|[1-6][0-9]) -> socket' "$SCRATCH/fds"
}
