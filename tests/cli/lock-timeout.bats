#!/usr/bin/env bats
# Locks that another process does not give back: --lock-timeout, the line that names the holder, signals.
load ../lib/common
load ../lib/varlink

setup() {
    require_program python3 jq
    cd "$BATS_TEST_TMPDIR" || return 1
    pids=()
    "$BUILD/splitfd" init --insecure --repo "$PWD/r" > /dev/null
    mkdir -p s/root/overlay s/root/overlay-layers s/root/overlay-images s/run
    echo '[]' > s/root/overlay-layers/layers.json
    echo '[]' > s/root/overlay-images/images.json
    touch s/root/overlay-layers/layers.lock s/root/overlay-images/images.lock
    STORE=$PWD/s
}
teardown() {
    stop_services
    scratch_drop
}

hold() { # flock|posix PATH
    rm -f held
    "$LIB/lock-hold.py" "$1" "$2" > held 2> /dev/null < /dev/null 3>&- &
    holder=$!
    pids+=("$holder")
    until [ -s held ]; do kill -0 "$holder" && sleep 0.05 || return 1; done
}
let_go() {
    kill "$holder"
    wait "$holder" || true
}

# fails CODE COMMAND…: with its output in $output; a wait without an end is 124.
fails() {
    local code=$1 got=0
    shift
    output=$(timeout 50 "$BUILD/splitfd" "$@" 2>&1 < /dev/null 3>&-) || got=$?
    [ "$got" = "$code" ] || { echo "exit $got: $output"; return 1; }
}
says() { [[ $output == *"$1"* ]] || { echo "not '$1' in: $output"; return 1; }; }
of_store() { echo --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay; }

@test "each command of a repository fails at the deadline and names the holder" {
    local command n=0 i
    hold flock r
    # All at once.
    while read -r command; do
        # shellcheck disable=SC2086
        { fails 1 $command --repo "$PWD/r" --lock-timeout 1; printf '%s\n' "$? $output" > "said.$n"; } &
        n=$((n + 1))
    done << END
images
inspect x
layers x
fsck
dump x
compute-id x
mount x m
stream dump x
init --insecure
import-layer sha256:$(printf '%064d' 0)
get-layer composefs:x 0
pull $(of_store) x
fsck $(of_store) --repair x
END
    while [ "$(find . -name 'said.*' -size +0 | wc -l)" -lt "$n" ]; do sleep 0.1; done
    assert_same 13 "$n"
    for i in said.*; do
        output=$(cat "$i")
        [[ $output == "0 "* ]] || { echo "$output"; return 1; }
        says "the repository '$PWD/r' has been locked for 1 seconds by process $holder ($(cat "/proc/$holder/comm"))"
    done
    fails 1 push --to nowhere --from-repo "$PWD/r" --lock-timeout 1 composefs:x
    says "by process $holder ($(cat "/proc/$holder/comm"))"
}

@test "after two seconds a line names the lock and who holds it, and the lock is taken once it is free" {
    hold flock r
    local name
    name=$(cat "/proc/$holder/comm")
    timeout 50 "$BUILD/splitfd" images --repo "$PWD/r" > out 2> err < /dev/null 3>&- &
    local waiter=$!
    until [ -s err ]; do kill -0 "$waiter" && sleep 0.1 || return 1; done
    let_go
    wait "$waiter"
    assert_same "splitfd: waiting for the lock of the repository '$PWD/r', which process $holder ($name) holds" "$(cat err)"
    assert_same "No images found" "$(cat out)"
}

@test "each lock of a store has the deadline, inside the sandbox and outside" {
    local lock
    for lock in overlay-layers/layers.lock overlay-images/images.lock; do
        hold posix "s/root/$lock"
        fails 1 pull $(of_store) --repo "$PWD/r" --no-sandbox --lock-timeout 1 x
        says "$STORE/root/$lock has been locked for 1 seconds by process $holder ($(cat "/proc/$holder/comm"))"
        fails 1 pull $(of_store) --repo "$PWD/r" --lock-timeout 1 x
        says "by process $holder"
        fails 1 get-layer $(of_store) --lock-timeout 1 x 0
        says "by process $holder"
        let_go
        fails 3 pull $(of_store) --repo "$PWD/r" --lock-timeout 1 x
    done
}

@test "--timeout bounds the wait" {
    hold flock r
    fails 1 pull $(of_store) --repo "$PWD/r" --timeout 1 x
    says "for 1 seconds by process $holder"
    fails 1 import-layer --repo "$PWD/r" --timeout 1 "sha256:$(printf '%064d' 0)"
    says "for 1 seconds by process $holder"
    fails 2 images --repo "$PWD/r" --lock-timeout 0
}

@test "a signal ends the wait" {
    hold flock r
    timeout 50 "$BUILD/splitfd" pull $(of_store) --repo "$PWD/r" --lock-timeout 1000 x > out 2> err < /dev/null 3>&- &
    local waiter=$! code=0
    until [ -s err ]; do kill -0 "$waiter" && sleep 0.1 || return 1; done
    kill -TERM "$waiter"
    wait "$waiter" || code=$?
    grep -q interrupted err
    [ "$code" -ne 0 ] && [ "$code" -ne 124 ]
}

@test "a service answers at the deadline, and ends while a call waits" {
    local code=0
    serve "$PWD/a" --repo "$PWD/r" --lock-timeout 1
    serve "$PWD/b" --repo "$PWD/r" --lock-timeout 1000
    local patient=${pids[-1]}
    serve_store "$PWD/c" --lock-timeout 1
    hold flock r
    ask() { # SOCKET [REPOSITORY]
        timeout 50 python3 - "$@" 2>&1 << 'END'
import json, os, sys
sys.path.insert(0, os.environ["LIB"])
from varlink_client import Connection
c = Connection(sys.argv[1])
call = ("Repository.OpenRepository", {"path": sys.argv[2]}) if sys.argv[2:] else ("Oci.ListImages", {"handle": 0})
print(json.dumps(c.call("org.composefs." + call[0], call[1])[0]), flush=True)
END
    }
    export LIB
    output=$(ask a "$PWD/r")
    says "for 1 seconds by process $holder ($(cat "/proc/$holder/comm"))"
    ask b "$PWD/r" > answer &
    local client=$!
    until grep -q "waiting for the lock" log.1; do kill -0 "$patient" && sleep 0.1 || return 1; done
    kill -TERM "$patient"
    wait "$patient" || code=$?
    assert_same 0 "$code"
    wait "$client"
    let_go
    hold posix s/root/overlay-images/images.lock
    output=$(ask c)
    says "images.lock has been locked for 1 seconds by process $holder"
}

@test "the image proxy answers at the deadline, without asking a skopeo that would wait" {
    hold posix s/root/overlay-layers/layers.lock
    printf '#!/bin/sh\necho asked > "%s/asked"\nexit 1\n' "$PWD" > skopeo
    chmod +x skopeo
    output=$(LIB=$LIB timeout 50 python3 - "$BUILD/splitfd" "containers-storage:[overlay@$STORE/root+$STORE/run]x" << 'END'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import Proxy, ProxyError
p = Proxy([sys.argv[1], "experimental-image-proxy", "--insecure-policy", "--lock-timeout=1", "--skopeo=./skopeo"])
try:
    print(p.open(sys.argv[2]))
except ProxyError as e:
    print(e)
p.close()
END
)
    says "layers.lock has been locked for 1 seconds by process $holder ($(cat "/proc/$holder/comm"))"
    [ ! -e asked ]
}

@test "the holder is found on btrfs, too, whose files have another device than their locks" {
    require_root
    require_program mkfs.btrfs
    scratch_make
    fs_make btrfs "$SCRATCH/btrfs" 256M
    "$BUILD/splitfd" init --insecure --repo "$SCRATCH/btrfs/r" > /dev/null
    hold flock "$SCRATCH/btrfs/r"
    fails 1 images --repo "$SCRATCH/btrfs/r" --lock-timeout 1
    let_go
    says "by process $holder ("
}
