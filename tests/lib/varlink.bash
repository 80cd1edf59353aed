# Services on sockets, in the background.
#   setup() { …; pids=(); }   teardown() { stop_services; }
# shellcheck shell=bash

# A service holds the lock of a repository that it has opened.
stop_services() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2> /dev/null || continue
        wait "$pid" || true
    done
    pids=()
}

# In the background, with a log; ends with the test. Waits until PATH can be connected to.
background() { # PATH PROGRAM ARGUMENT…
    local path=$1 i
    shift
    "$@" > "$BATS_TEST_TMPDIR/log.${#pids[@]}" 2>&1 < /dev/null 3>&- 4>&- &
    pids+=($!)
    for i in $(seq 200); do
        [ ! -S "$path" ] || return 0
        sleep 0.05
    done
    cat "$BATS_TEST_TMPDIR"/log.*
    return 1
}
serve() { # PATH ARGUMENT…
    background "$1" "$BUILD/splitfd" serve --socket "$@"
}
serve_store() { # PATH ARGUMENT…
    serve "$@" --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay
}
serve_cfsctl() { # PATH
    background "$1" "$CFSCTL" varlink --address "$1"
}
