# Pulls that run for long enough to do something beside them: strace delays every ioctl (FICLONE), or
# what $SLOW_CALL says.

# slow_start MICROSECONDS ARGUMENT…: starts `splitfd ARGUMENT…` in the background; its process in $slow,
# which leads a process group, its output in $BATS_TEST_TMPDIR/slow.{out,err}.
slow_start() {
    local delay=$1
    shift
    # Background jobs of a shell ignore SIGINT; -DD keeps the program itself as our child, and strace
    # apart from its group.
    (
        exec env --default-signal=INT setsid strace -DD -f -qq -o /dev/null -e trace="${SLOW_CALL:-ioctl}" \
            -e inject="${SLOW_CALL:-ioctl}:delay_exit=$delay" "$BUILD/splitfd" "$@"
    ) > "$BATS_TEST_TMPDIR/slow.out" 2> "$BATS_TEST_TMPDIR/slow.err" < /dev/null 3>&- &
    slow=$!
}

# Until the pull has made that many objects, which have no names yet: it is in its middle.
slow_wait_objects() { # REPO COUNT
    local n
    for n in $(seq 1 600); do
        [ "$(find "$1/objects" "$1"/.splitfd-staging-* -type f 2> /dev/null | wc -l)" -lt "$2" ] || return 0
        slow_runs || break
        sleep 0.05
    done
    echo "the pull never had $2 objects"
    cat "$BATS_TEST_TMPDIR/slow.err"
    return 1
}
slow_runs() { kill -0 "$slow" 2> /dev/null; }
# Waits for its end; code in $slow_code.
slow_end() {
    slow_code=0
    wait "$slow" || slow_code=$?
    echo "slow pull ended with $slow_code: $(cat "$BATS_TEST_TMPDIR/slow.err")"
}
slow_kill() {
    [ -z "${slow:-}" ] || ! slow_runs || kill -KILL "$slow" 2> /dev/null || true
}
