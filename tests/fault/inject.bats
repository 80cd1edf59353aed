#!/usr/bin/env bats
# The tool that makes system calls fail does what it says, on programs whose answer is known.

load ../lib/common

setup() {
    inject=$BUILD/tests/fault/inject
    export LC_ALL=C
    report=$BATS_TEST_TMPDIR/report
    cd "$BATS_TEST_TMPDIR"
    printf 'one two three' > file
    # Three threads, then a child of the same program, then another program.
    cat > crowd.py <<'END'
import os, subprocess, sys, threading
def one(name):
    with open(name) as f:
        os.fsync(f.fileno())
threads = [threading.Thread(target=one, args=(sys.argv[1],)) for _ in range(3)]
for t in threads: t.start()
for t in threads: t.join()
if os.fork() == 0:
    one(sys.argv[1])
    os._exit(0)
os.wait()
subprocess.run(["sync", sys.argv[1]], check=True)
END
    python3=$(python3 -c 'import sys; print(sys.executable)')
}
injected() { "$inject" --report "$report" "$@"; }

@test "every call is counted, of all threads and of forks; of other programs only with --children" {
    injected --count --calls fsync -- "$python3" crowd.py file
    assert_same "calls 4" "$(cat "$report")"
    injected --count --calls fsync --children -- "$python3" crowd.py file
    assert_same "calls 5" "$(cat "$report")"
    injected --count --list --calls fsync -- sync file
    assert_same "1 fsync $(realpath file)" "$(head -n 1 "$report")"
}

@test "calls with a command are counted by it" {
    cat > command.py <<'END'
import fcntl
f = open("file")
fcntl.fcntl(f, fcntl.F_GETFD)
fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, 100)
fcntl.fcntl(f, fcntl.F_GETFD)
END
    injected --count --list --calls fcntl:0x406 -- "$python3" command.py
    assert_same "1 fcntl:0x406 $(realpath file)" "$(head -n 1 "$report")"
    run injected --calls fcntl:0x406 --at 1 --action errno:EMFILE -- "$python3" command.py
    assert_match 'Too many open files' "$output"
}

@test "the loader's calls are counted with --loader only" {
    injected --count --calls openat -- true
    without=$(cat "$report")
    injected --count --calls openat --loader -- true
    with=$(cat "$report")
    [ "${with#calls }" -gt "${without#calls }" ]
}

@test "a call fails with the errno and is not executed" {
    run injected --calls unlinkat --at 1 --action errno:EROFS -- rm file
    assert_same 1 "$status"
    assert_match 'Read-only file system' "$output"
    [ -e file ]
    assert_match 'injecting 1 unlinkat .*"file"' "$(cat "$report")"
    assert_match 'injected 1$' "$(cat "$report")"
}

@test "a call fails with the errno after it was executed" {
    run injected --calls unlinkat --at 1 --action errno-after:EIO -- rm file
    assert_same 1 "$status"
    assert_match 'Input/output error' "$output"
    [ ! -e file ]
}

@test "from a call on, every one fails" {
    touch a b c
    run injected --calls unlinkat --at 2+ --action errno:EACCES -- rm a b c
    assert_same 1 "$status"
    [ ! -e a ] && [ -e b ] && [ -e c ]
    assert_match 'injected 2$' "$(cat "$report")"
}

@test "reads and writes are short, and a result is made up" {
    assert_same "one two three" "$(injected --calls read --at 1 --action short:3 -- cat file)"
    assert_match 'injected 1$' "$(cat "$report")"
    assert_silent injected --calls read --at 1 --action result:0 -- cat file
    assert_same 3 "$(injected --calls pwrite64 --at 1 --action short:3 -- "$python3" -c \
        'import os; print(os.pwrite(os.open("file", os.O_RDWR), b"four five", 0))')"
    assert_same "fou two three" "$(cat file)"
}

@test "what did not happen is reported" {
    injected --calls fsync --at 99 --action kill -- sync file
    assert_same "$(printf 'calls 1\nnot injected')" "$(cat "$report")"
}

@test "signals and kills; the exit code says which" {
    run injected --calls fsync --at 2 --action signal:TERM -- "$python3" crowd.py file
    assert_same 143 "$status"
    run injected --calls fsync --at 3 --action kill -- "$python3" crowd.py file
    assert_same 137 "$status"
    assert_match '^injecting 3 fsync' "$(cat "$report")"
    run injected --count -- sh -c 'exit 7'
    assert_same 7 "$status"
}

@test "a command runs while the call is held; a call can be held for some time" {
    assert_same "changed" "$(injected --calls openat --at 1 --action 'command:printf changed > file' -- cat file)"
    SECONDS=0
    injected --calls openat --at 1 --action pause:1500 -- cat file > /dev/null
    [ "$SECONDS" -ge 1 ]
}

@test "it works inside the sandbox of splitfd, and without privileges" {
    "$BUILD/splitfd" init --insecure --repo "$BATS_TEST_TMPDIR/repo" > /dev/null
    run injected --calls openat2 --at 1 --action errno:EIO -- "$BUILD/splitfd" images --repo "$BATS_TEST_TMPDIR/repo"
    assert_same 1 "$status"
    assert_match 'Input/output error' "$output"
    [ "$(id -u)" -ne 0 ] || {
        # What cannot be reached by nobody is copied to where it can.
        scratch_make
        chmod 755 "$SCRATCH" && cp "$inject" "$SCRATCH"
        run setpriv --reuid 65534 --regid 65534 --clear-groups "$SCRATCH/inject" --calls fsync --at 1 \
            --action errno:EIO -- sync /usr/bin/env
        scratch_drop
        assert_same 1 "$status"
        assert_match 'Input/output error' "$output"
    }
}

@test "a counter fails only as the kernel's can" {
    cat > counter.py <<'END'
import os
fd = os.eventfd(0)
os.write(fd, (1).to_bytes(8, "little"))
os.read(fd, 8)
with open("file", "rb+", buffering=0) as f:
    f.write(b"one")
END
    run injected --calls write --at 1 --action errno:EDQUOT -- "$python3" counter.py
    assert_same 0 "$status"
    assert_match '^injecting 1 write anon_inode:\[eventfd\]' "$(cat "$report")"
    assert_match 'not injected' "$(cat "$report")"
    run injected --calls write --at 2 --action errno:EDQUOT -- "$python3" counter.py
    assert_match 'Disk quota exceeded' "$output"
}
