#!/usr/bin/env bats
# The service started by real systemds: systemd-socket-activate, and a system manager of its own root
# with the units that `make install` puts in place.
load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop && require_program python3 systemctl systemd-socket-activate systemd-analyze nsenter || return 0
    scratch_make
    export STORE=$SCRATCH/store ORACLE=$SCRATCH/oracle ROOT=$SCRATCH/root INSTALLED=$SCRATCH/installed
    store_load debian "$("$LIB/images" small)" "$STORE" localhost/small
    unmount_below "$STORE"
    repo_init "$ORACLE"
    store_pull 0 "$ORACLE" "$STORE" localhost/small small
    make -s -C "$SPLITFD_TOP" install DESTDIR="$INSTALLED" prefix=/usr/local > /dev/null 3>&-
    mkdir -p "$ROOT" "$SCRATCH/sysroot" "$SCRATCH/etc"
    printf '[storage]\ndriver = "overlay"\ngraphroot = "/var/lib/containers/storage"\nrunroot = "/run/containers/storage"\n' \
        > "$SCRATCH/etc/storage.conf"
    repo_init "$SCRATCH/sysroot/composefs"
    boot || return 0
}
teardown_file() {
    [ -z "${BOOT_PID:-}" ] || kill "$BOOT_PID" 2> /dev/null || true
    while [ -n "${BOOT_PID:-}" ] && [ -d "/proc/$BOOT_PID" ]; do sleep 0.05; done
    scratch_drop
}
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pid=
}
teardown() { [ -z "${pid:-}" ] || ! kill "$pid" 2> /dev/null || wait "$pid" || true; }

# A systemd of our own; $SYSTEMD is its number here. Where it does not come up, WHY_NOT says so.
boot() {
    local n
    "$LIB/systemd-boot" "$ROOT" "$INSTALLED/usr/local=/usr/local" "$STORE/root=/var/lib/containers/storage" \
        "$SCRATCH/sysroot=/sysroot" "$SCRATCH/etc=/etc/containers" > "$SCRATCH/boot.log" 2>&1 < /dev/null 3>&- 4>&- &
    export BOOT_PID=$! SYSTEMD= WHY_NOT=
    for n in $(seq 600); do
        SYSTEMD=$(pgrep -P "$(pgrep -P "$BOOT_PID" -x unshare)" -x systemd) || true
        [ -z "$SYSTEMD" ] || ! inside systemctl --quiet is-active basic.target 2> /dev/null || return 0
        [ -d "/proc/$BOOT_PID" ] || break
        sleep 0.1
    done
    WHY_NOT=$(cat "$SCRATCH/boot.log" "$ROOT.log" | tail -n 1)
}
inside() { nsenter --target "$SYSTEMD" --mount --pid "$@" 3>&- 4>&-; }
require_boot() { [ -z "$WHY_NOT" ] || skip "kernel: systemd does not start in namespaces here: $WHY_NOT"; }

store_options() { echo --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay; }

# pull_from SOCKET REFERENCE [OPTION…]: what a direct pull gives.
pull_from() {
    local repo=$SCRATCH/r$BATS_TEST_NUMBER socket=$1 reference=$2
    shift 2
    rm -rf "$repo"
    repo_init "$repo"
    run_splitfd 0 pull --repo "$repo" "$@" "varlink:$socket#$reference" small
    assert_same_streams exact "$repo" small "$ORACLE"
    rm -rf "$repo"
}

activate() { # SOCKET OPTION… PROGRAM…
    local socket=$1 n
    shift
    systemd-socket-activate --listen="$socket" "$@" > "$BATS_TEST_TMPDIR/log" 2>&1 < /dev/null 3>&- 4>&- &
    pid=$!
    for n in $(seq 200); do [ ! -S "$socket" ] || return 0; sleep 0.05; done
    cat "$BATS_TEST_TMPDIR/log"
    return 1
}

@test "systemd-socket-activate: a listening socket, one service for all" {
    activate "$SCRATCH/a" "$BUILD/splitfd" serve $(store_options)
    pull_from "$SCRATCH/a" localhost/small
    pull_from "$SCRATCH/a" localhost/small
    assert_match 'splitfd serve' "$(tr '\0' ' ' < "/proc/$pid/cmdline")"
    kill "$pid"
    wait "$pid"
    pid=
}

@test "systemd-socket-activate: each connection a service, as LISTEN_FDS and as standard input" {
    local option
    for option in "" "--inetd"; do
        activate "$SCRATCH/b$option" --accept $option "$BUILD/splitfd" serve ${option:+--fd 0} $(store_options)
        pull_from "$SCRATCH/b$option" localhost/small
        pull_from "$SCRATCH/b$option" localhost/small
        # Every service has ended with its client.
        for _ in $(seq 200); do [ -n "$(pgrep -P "$pid")" ] || break; sleep 0.05; done
        refute pgrep -P "$pid"
        assert_same 2 "$(grep -c 'died with code 0' "$BATS_TEST_TMPDIR/log")"
        kill "$pid"
        wait "$pid" || true
    done
}

@test "systemd-analyze finds nothing in the units" {
    local out
    out=$(systemd-analyze verify --man=no --recursive-errors=no "$INSTALLED"/usr/local/lib/systemd/system/*.socket \
        "$INSTALLED"/usr/local/lib/systemd/system/splitfd-store.service 2>&1) || true
    # The program is not installed on this machine itself.
    [ -z "$out" ] || refute grep -v 'Command /usr/local/bin/splitfd is not executable: No such file or directory$' <<< "$out"
}

property() { inside systemctl show --property="$2" --value "$1"; }
inner() { echo "/proc/$SYSTEMD/root$1"; }

@test "a store's socket under systemd: started by the first client, one service for all, ended by systemctl stop" {
    require_boot
    inside systemctl start splitfd-store.socket
    assert_same "600 0" "$(stat -c '%a %u' "$(inner /run/splitfd/store.sock)")"
    assert_same inactive "$(property splitfd-store.service ActiveState)"
    pull_from "$(inner /run/splitfd/store.sock)" localhost/small
    assert_same active "$(property splitfd-store.service ActiveState)"
    local main
    main=$(property splitfd-store.service MainPID)
    pull_from "$(inner /run/splitfd/store.sock)" localhost/small
    assert_same "$main" "$(property splitfd-store.service MainPID)"
    inside systemctl stop splitfd-store.service
    assert_same "inactive success" "$(property splitfd-store.service ActiveState) $(property splitfd-store.service Result)"
    # The socket was systemd's, and starts it again.
    pull_from "$(inner /run/splitfd/store.sock)" localhost/small
    inside systemctl stop splitfd-store.socket splitfd-store.service
    assert_same success "$(property splitfd-store.service Result)"
}

@test "a repository's socket under systemd: a service for each client; push, and cfsctl accepts the result" {
    require_boot
    inside systemctl start splitfd-repository.socket
    run_splitfd 0 push --to "$(inner /run/splitfd/repository.sock)" --repo /sysroot/composefs $(store_options) localhost/small small
    python3 - "$(inner /run/splitfd/repository.sock)" << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from varlink_client import Connection
clients = [Connection(sys.argv[1]) for _ in range(3)]
for c in clients + clients:
    reply, _ = c.call("org.composefs.Oci.ListImages", {"handle": c.open("/sysroot/composefs")})
    assert [i["name"] for i in reply["parameters"]["images"]] == ["small"], reply
units = os.popen(f"nsenter -t {os.environ['SYSTEMD']} -m -p systemctl --plain --no-legend list-units 'splitfd-repository@*' --state=running").read()
assert len(units.splitlines()) == 3, units
X
    pull_from "$(inner /run/splitfd/repository.sock)" small --from-repo /sysroot/composefs
    # Each ended with its client, and none in failure.
    for _ in $(seq 200); do
        [ -n "$(inside systemctl --plain --no-legend list-units 'splitfd-repository@*' --all)" ] || break
        sleep 0.05
    done
    assert_silent inside systemctl --plain --no-legend list-units 'splitfd-repository@*' --all
    assert_silent inside systemctl --plain --no-legend --failed
    inside systemctl stop splitfd-repository.socket
    assert_cfsctl_accepts "$SCRATCH/sysroot/composefs" small
    assert_same_streams exact "$SCRATCH/sysroot/composefs" small "$ORACLE"
}
