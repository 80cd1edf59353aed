#!/usr/bin/env bats
# One signal ends it: whatever a command waits for, a lock, a peer, or a child of its own.
# All of it, which takes an hour: `campaign --part /signal/` and `peers-misbehave`.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_interop && require_program python3 || return 0
    scratch_make
    export STORE=$SCRATCH/store
    "$LIB/odd-layers.py" "$SCRATCH/odd" > /dev/null
    store_load debian "$SCRATCH/odd/$(jq -r '[.[] | select(.expect == "exact")][0].case' "$SCRATCH/odd/index.json")" \
        "$STORE" localhost/one
    unmount_below "$STORE"
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=() repo=$SCRATCH/r$BATS_TEST_NUMBER
    from=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay)
    repo_init "$repo"
}
teardown() {
    local pid
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done
}

# hold HOW FILE: another process that has the file locked for itself (flock, or a record lock).
hold() {
    : > "$BATS_TEST_TMPDIR/held"
    python3 - "$1" "$2" > "$BATS_TEST_TMPDIR/held" << 'END' 3>&- &
import fcntl, os, sys, time
fd = os.open(sys.argv[2], os.O_RDONLY if sys.argv[1] == "flock" else os.O_RDWR)
getattr(fcntl, sys.argv[1])(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
END
    holder=$!
    pids+=($holder)
    disown
    until_true grep -q held "$BATS_TEST_TMPDIR/held"
}
release() {
    kill "$holder"
    while kill -0 "$holder" 2> /dev/null; do sleep 0.02; done
}
until_true() {
    local n
    for n in $(seq 400); do
        ! "$@" 2> /dev/null || return 0
        sleep 0.05
    done
    return 1
}
has_file_open() { ls -l "/proc/$1/fd" | grep -qF "$2"; }
start() { # ARGUMENT…
    (exec env --default-signal=INT "$BUILD/splitfd" "$@") > "$BATS_TEST_TMPDIR/out" 2>&1 < /dev/null 3>&- &
    pids+=($!)
    pid=$!
}
# ends_by SIGNAL CODE [REGEX]: it is over within seconds, and says why; without REGEX nothing is said.
ends_by() {
    local code=0 said
    SECONDS=0
    kill "-$1" "$pid"
    wait "$pid" || code=$?
    said=$(cat "$BATS_TEST_TMPDIR/out")
    echo "$code after $SECONDS s: $said"
    [ "$SECONDS" -le 5 ]
    assert_same "$2" "$code"
    if [ -n "${3:-}" ]; then assert_match "$3" "$said"; else assert_empty "$said"; fi
}

@test "a signal while another process has the repository's lock; later the lock is had" {
    local signal
    hold flock "$repo"
    for signal in TERM INT HUP; do
        start pull --repo "$repo" "${from[@]}" localhost/one one
        until_true has_file_open "$pid" "$repo"
        sleep 0.2
        ends_by $signal 1 'interrupted'
    done
    start import-layer --format=tar --repo "$repo" "sha256:$(printf '0%.0s' {1..64})"
    until_true has_file_open "$pid" "$repo"
    ends_by TERM 1 'interrupted'
    start pull --repo "$repo" "${from[@]}" localhost/one one
    sleep 0.3
    release
    wait "$pid"
    assert_fsck_clean "$repo"
}

@test "a signal while podman has the store's lock" {
    local lock
    for lock in overlay-layers/layers.lock overlay-images/images.lock; do
        hold lockf "$STORE/root/$lock"
        start pull --repo "$repo" "${from[@]}" localhost/one one
        until_true has_file_open "$pid" "$lock"
        sleep 0.2
        ends_by TERM 1 'interrupted'
        start get-layer --format=tar "${from[@]}" localhost/one 0
        until_true has_file_open "$pid" "$lock"
        ends_by HUP 1 'interrupted'
        release
    done
    assert_nothing_visible "$repo"
}

# A client that asks once and waits.
ask() { # SOCKET TEXT
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + (b"\0" if "jsonrpc" not in sys.argv[2] else b""))
s.recv(1)' "$1" "$2" 3>&- &
    pids+=($!)
}

@test "serve: a signal while a client's request waits for a lock" {
    local socket=$SCRATCH/socket
    hold flock "$repo"
    start serve --socket "$socket" --repo "$repo"
    until_true test -S "$socket"
    ask "$socket" "{\"method\":\"org.composefs.Repository.OpenRepository\",\"parameters\":{\"path\":\"$repo\"}}"
    until_true has_file_open "$pid" "$repo"
    sleep 0.2
    ends_by TERM 0
    [ ! -e "$socket" ]
    hold lockf "$STORE/root/overlay-layers/layers.lock"
    start serve --protocol=jsonrpc --socket "$socket" "${from[@]}"
    until_true test -S "$socket"
    ask "$socket" '{"jsonrpc":"2.0","method":"GetImage","params":{"imageId":"localhost/one"},"id":1}'
    until_true has_file_open "$pid" layers.lock
    sleep 0.2
    ends_by INT 0
}

@test "peers that answer nothing, half or an error at each message, and leave pipes open" {
    "$SPLITFD_TOP/tests/fault/peers-misbehave" --build "$BUILD" --only '^(skopeo|splitfd-proxy)/4-FinishPipe/error/' 3>&-
    "$SPLITFD_TOP/tests/fault/peers-misbehave" --build "$BUILD" --seed "${PEERS_SEED:-1}" --seconds 20 3>&-
}

@test "a signal at each system call of every command" {
    [ -z "${SANITIZED:-}" ] || skip "the sanitizer's own calls would be counted"
    "$SPLITFD_TOP/tests/fault/campaign" --build "$BUILD" --part '/signal/' --seed "${CAMPAIGN_SEED:-1}" --seconds 15 3>&-
}
