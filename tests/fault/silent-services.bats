#!/usr/bin/env bats
# Services that fall silent, or accept nobody: who waits for them for minutes ends at once when asked to.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

setup_file() {
    require_interop && require_program python3 || return 0
    scratch_make
    export STORE=$SCRATCH/store
    "$LIB/odd-layers.py" "$SCRATCH/odd" > /dev/null
    store_load debian "$SCRATCH/odd/$(jq -r '[.[] | select(.expect == "exact")][0].case' "$SCRATCH/odd/index.json")" \
        "$STORE" localhost/one
    local container n
    mkdir "$SCRATCH/files"
    for n in 1 2 3 4; do head -c 900000 /dev/urandom > "$SCRATCH/files/$n"; done
    container=$(suite_buildah debian "$STORE" -- from scratch)
    suite_buildah debian "$STORE" -- copy -q "$container" "$SCRATCH/files" / > /dev/null
    suite_buildah debian "$STORE" -- commit -q "$container" localhost/large > /dev/null
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=() repo=$SCRATCH/r$BATS_TEST_NUMBER silent=$SCRATCH/silent
    repo_init "$repo"
}
teardown() { stop_services; }

silence() { # CASE
    rm -f "$silent"
    background "$silent" python3 "$LIB/varlink-lying-services.py" "$silent" "$1"
    waits=$BATS_TEST_TMPDIR/log.$((${#pids[@]} - 1))
}
# Until the service waits, and who is to be ended has come to its own waiting.
wait_for_silence() {
    local n
    for n in $(seq 400); do
        ! grep -q waits "$waits" || { sleep 0.2; return 0; }
        sleep 0.05
    done
    return 1
}

# ends_at SIGNAL ARGUMENT…: started before the silence, ended in it.
ends_at() {
    local signal=$1 code=0 pid
    shift
    (exec env --default-signal=INT "$BUILD/splitfd" "$@") > "$BATS_TEST_TMPDIR/out" 2>&1 < /dev/null 3>&- &
    pid=$!
    wait_for_silence
    SECONDS=0
    kill "-$signal" "$pid"
    wait "$pid" || code=$?
    echo "$* -> $code after $SECONDS s: $(cat "$BATS_TEST_TMPDIR/out")"
    assert_same 1 "$code" && [ "$SECONDS" -le 10 ] && assert_same 1 "$(wc -l < "$BATS_TEST_TMPDIR/out")" &&
        assert_match 'interrupted' "$(cat "$BATS_TEST_TMPDIR/out")" && assert_nothing_visible "$repo"
}

@test "pull: a signal, wherever the service is silent" {
    local case
    for case in silent "inspect is silent" "get is silent" "stream is silent"; do
        silence "$case"
        ends_at INT pull --timeout 300 --repo "$repo" --from-repo /some "varlink:$silent#image" name
        silence "$case"
        ends_at TERM pull --timeout 0 --repo "$repo" --from-repo /some "varlink:$silent#image" name
    done
    silence silent
    ends_at TERM pull --timeout 300 --repo "$repo" "jsonrpc:$silent#image" name
}

@test "pull: a signal while skopeo waits for what never comes" {
    local fifo=$SCRATCH/archive waits=$SCRATCH/skopeo-waits
    mkfifo "$fifo"
    bash -c 'exec > "$1" 8> "$2" && echo waits && exec sleep 600' - "$waits" "$fifo" 3>&- &
    pids+=($!)
    touch "$waits"
    ends_at TERM pull --timeout 300 --insecure-policy --repo "$repo" "docker-archive:$fifo" name
}

@test "push: a signal, wherever the service is silent" {
    local case
    for case in silent "has is silent" "put reads nothing" "finalize is silent"; do
        silence "$case"
        ends_at TERM push --timeout 300 --to "$silent" --repo "$repo" --root "$STORE/root" --runroot "$STORE/run" \
            localhost/one name
    done
}

# A program whose standard input or output is one end of a pipe or a socket, and the other end silent.
signal_between() { # stdin|stdout KIND ARGUMENT…
    python3 - "$1" "$2" "$BUILD/splitfd" "${@:3}" << 'END'
import os, signal, socket, subprocess, sys, time
side, kind, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
if kind == "pipe":
    r, w = os.pipe()
else:
    w, r = (s.detach() for s in socket.socketpair())
child = subprocess.Popen(argv, stderr=subprocess.PIPE, **{side: r if side == "stdin" else w})
if "--format=splitfdstream" in argv and side == "stdin":
    os.write(w, b"\xff" * 8 + b"x")
def catches():
    with open(f"/proc/{child.pid}/status") as f:
        return any(l.startswith("SigCgt") and int(l.split()[1], 16) >> 14 & 1 for l in f)
while child.poll() is None and not catches():
    time.sleep(0.05)
time.sleep(0.5)
child.send_signal(signal.SIGTERM)
try:
    said = child.communicate(timeout=10)[1]
finally:
    child.kill()
assert child.returncode == 1 and b"interrupted" in said, (argv, child.returncode, said)
END
}

@test "import-layer: a signal while the producer is silent, in each format, on a pipe and on a socket" {
    local kind format
    for kind in pipe socket; do
        for format in splitfdstream splitdirfdstream tar splitstream; do
            signal_between stdin $kind import-layer --format=$format --timeout 300 --repo "$repo" \
                "sha256:$(printf '0%.0s' {1..64})"
        done
    done
    assert_nothing_visible "$repo"
}

@test "get-layer: a signal while the consumer reads nothing, in each format, on a pipe and on a socket" {
    local kind format
    for kind in pipe socket; do
        for format in splitfdstream splitdirfdstream tar; do
            signal_between stdout $kind get-layer --format=$format --inline-max 1000000 --timeout 300 \
                --root "$STORE/root" --runroot "$STORE/run" localhost/large all
        done
    done
}

@test "get-layer: a consumer that reads nothing from a socket is an error after --timeout, once" {
    local kind
    for kind in SOCK_STREAM SOCK_SEQPACKET; do
        python3 - "$kind" "$BUILD/splitfd" get-layer --inline-max 1000000 --timeout 2 \
            --root "$STORE/root" --runroot "$STORE/run" localhost/large all << 'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, getattr(socket, sys.argv[1]))
child = subprocess.Popen(sys.argv[2:], stdout=theirs, stderr=subprocess.PIPE)
try:
    said = child.communicate(timeout=12)[1]
finally:
    child.kill()
assert child.returncode == 1 and said.count(b"\n") == 1 and b"was silent for too long" in said, (child.returncode, said)
END
    done
}

@test "a service that accepts nobody: an error after --timeout, and a signal" {
    local full=$SCRATCH/full reference waits=$SCRATCH/waits
    python3 - "$full" > "$waits" << 'END' 3>&- &
import socket, sys, time
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen(0)
crowd = []
try:
    while True:
        crowd.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        crowd[-1].setblocking(False)
        crowd[-1].connect(sys.argv[1])
except BlockingIOError:
    print("waits", flush=True)
time.sleep(600)
END
    pids+=($!)
    wait_for_silence
    for reference in "varlink:$full#image" "jsonrpc:$full#image"; do
        SPLITFD_TIMEOUT=30 run_splitfd 1 pull --timeout 1 --repo "$repo" "$reference" name
        assert_match 'accepts no connection' "$errors"
        ends_at TERM pull --timeout 300 --repo "$repo" "$reference" name
    done
}

# asks METHOD PARAMETERS: a client that calls, says so, and goes when its standard input ends.
asks() {
    python3 - "$SCRATCH/own" "$1" "$2" "$repo" << 'END'
import json, os, sys
sys.path.insert(0, os.environ["LIB"])
from varlink_client import Connection
c = Connection(sys.argv[1], 300)
fds = [os.pipe()[0], os.open("/", os.O_PATH)] if sys.argv[2] == "PutLayer" else []
parameters = {"handle": c.open(sys.argv[4]), **json.loads(sys.argv[3])}
c.send({"method": "org.composefs.Oci." + sys.argv[2], "parameters": parameters}, fds)
os.read(int(os.environ["UNTIL"]), 1)
END
}

@test "serve: a client that leaves its Pull, and a signal, while the pull's source is silent" {
    local reference fifo=$SCRATCH/fifo n pid asker
    mkfifo "$fifo"
    for reference in varlink jsonrpc; do
        rm -f "$SCRATCH/own"
        serve "$SCRATCH/own" --timeout 300 --repo "$repo"
        pid=${pids[-1]} log=$BATS_TEST_TMPDIR/log.$((${#pids[@]} - 1))
        for n in leave signal; do
            silence "$([ $reference = jsonrpc ] && echo silent || echo "stream is silent")"
            (exec 9<> "$fifo" && UNTIL=9 asks Pull "{\"image\":\"$reference:$silent#image\",\"local_fetch\":\"auto\",\"bootable\":false}") 3>&- &
            asker=$!
            wait_for_silence
            SECONDS=0
            if [ $n = signal ]; then
                kill "$pid"
                wait "$pid"
                echo x > "$fifo"
            else
                echo x > "$fifo"
                for n in $(seq 200); do ! grep -q 'went away during its pull' "$log" || break; sleep 0.05; done
                grep 'went away during its pull' "$log"
            fi
            wait "$asker"
            [ "$SECONDS" -le 10 ]
        done
    done
    assert_nothing_visible "$repo"
}

@test "serve: a signal while a client's PutLayer is silent" {
    local fifo=$SCRATCH/put n pid
    mkfifo "$fifo"
    serve "$SCRATCH/own" --timeout 300 --repo "$repo"
    pid=${pids[-1]}
    (exec 9<> "$fifo" && UNTIL=9 asks PutLayer "{\"diff_id\":\"sha256:$(printf '0%.0s' {1..64})\",\"zerocopy\":false}") 3>&- &
    pids+=($!)
    for n in $(seq 200); do [ ! -d "$repo/objects" ] || break; sleep 0.05; done
    sleep 0.2
    SECONDS=0
    kill "$pid"
    wait "$pid"
    [ "$SECONDS" -le 2 ]
    echo x > "$fifo"
    assert_nothing_visible "$repo"
}
