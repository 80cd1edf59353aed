#!/usr/bin/env bats
# What is printed: names that would mislead a terminal or break JSON, bars on terminals of every
# size, output that cannot be written, standard descriptors that the parent has closed.

load ../lib/common
load ../lib/store
load ../lib/repo

setup_file() {
    require_root && require_program buildah jq strace script python3 || return 0
    scratch_make
    store_make "$SCRATCH/store"
    mkdir "$SCRATCH/files"
    local n
    # Without /usr: a pull says what it did about that.
    for n in $(seq 1 40); do head -c 1000000 /dev/urandom > "$SCRATCH/files/$n"; done
    container=$(suite_buildah debian "$SCRATCH/store" -- from scratch)
    suite_buildah debian "$SCRATCH/store" -- copy -q "$container" "$SCRATCH/files" /srv > /dev/null
    suite_buildah debian "$SCRATCH/store" -- commit -q "$container" localhost/srv > /dev/null
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    store=$SCRATCH/store
    repo=$SCRATCH/repo.$BATS_TEST_NUMBER
    repo_init "$repo"
}
of_store() { echo --repo "$repo" --root "$store/root" --runroot "$store/run" --storage-driver overlay; }

@test "names with controls or without UTF-8 are shown harmless, and as JSON that is valid" {
    local odd
    odd=$(printf 'a\nb\033[31m\302\233x\377\\')
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull $(of_store) localhost/srv "$odd"
    grep -qxF 'tagged   a\x0ab\x1b[31m\xc2\x9bx\xff\' <<< "$output"
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull $(of_store) localhost/srv ümläut
    run_splitfd 0 images --repo "$repo"
    assert_same 3 "$(wc -l <<< "$output")"
    grep -qF 'a\x0ab\x1b[31m\xc2\x9bx\xff\  ' <<< "$output"
    # The columns stand below each other.
    python3 -c '
import re, sys
assert len({re.search("DIGEST|[0-9a-f]{12}  ", line).start() for line in sys.argv[1].splitlines()}) == 1' "$output"
    run_splitfd 0 images --json --repo "$repo"
    python3 -c '
import json, sys
names = [row["name"] for row in json.loads(sys.argv[1].encode("utf-8", "surrogateescape"))["images"]]
assert names == ["a\nb\x1b[31m\x9bx\ufffd\\", "üml\u00e4ut"], names' "$output"
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull --json $(of_store) localhost/srv "$odd"
    jq -e '.tag | startswith("a\nb")' <<< "$output"
    assert_documented pull "$output"
    # An error names it so, too.
    run_splitfd 3 inspect --repo "$repo" "$(printf 'no\377\033')"
    assert_match "no image 'no.xff.x1b' in" "$errors"
}

# A pull of at least four seconds (every open takes 50 ms) on a terminal: $output is what stderr has
# left on the screen, $bars how many were drawn.
on_terminal() { # COLUMNS ROWS TERM
    local got=0
    TERM=$3 script -qec "stty cols $1 rows $2; exec strace -D -f -qq -o /dev/null -e trace=openat \
        -e inject=openat:delay_exit=50000 '$BUILD/splitfd' pull --jobs 1 $(of_store) localhost/srv \
        > '$BATS_TEST_TMPDIR/result'" /dev/null < /dev/null > "$BATS_TEST_TMPDIR/terminal" || got=$?
    cat -v "$BATS_TEST_TMPDIR/terminal" | tail -n 5
    [ "$got" -eq 0 ]
    output=$(python3 "$LIB/screen.py" "$1" < "$BATS_TEST_TMPDIR/terminal" 2> "$BATS_TEST_TMPDIR/bars") ||
        { cat "$BATS_TEST_TMPDIR/bars"; return 1; }
    bars=$(cat "$BATS_TEST_TMPDIR/bars")
}

# bats test_tags=tsan
@test "bars are drawn within the terminal and wiped; what is said besides stays" {
    local columns
    for columns in 120 80 50 20; do
        repo=$SCRATCH/repo.bars.$columns
        repo_init "$repo"
        on_terminal "$columns" 24 xterm
        echo "$columns columns: $bars bars"
        [ "$bars" -gt 1 ]
        [ "$columns" -lt 80 ] || grep -aqE 'image +\[#+\.*\] [0-9.]+ MiB / 38\.[0-9]+ MiB' "$BATS_TEST_TMPDIR/terminal"
        [ -n "$output" ]
        refute grep -v '^note: ' <<< "$output"
        grep -q '^tagged' "$BATS_TEST_TMPDIR/result"
    done
    repo=$SCRATCH/repo.bars.rows
    repo_init "$repo"
    on_terminal 80 2 xterm
    refute grep -v '^note: ' <<< "$output"
}

@test "no bars on a terminal that cannot move its cursor" {
    on_terminal 80 24 dumb
    assert_same 0 "$bars"
    refute grep -v '^note: ' <<< "$output"
}

@test "output that cannot be written is an error, of every command" {
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull $(of_store) localhost/srv srv
    local layer c
    layer=$(splitfd layers --json --repo "$repo" srv | jq -r '.layers[0].diffId')
    for c in --help --version "pull --help" "images --repo $repo" "images --json --repo $repo" "layers --repo $repo" \
        "inspect --repo $repo srv" "inspect --manifest --repo $repo srv" "fsck --repo $repo" "fsck --json --repo $repo" \
        "dump --repo $repo srv" "compute-id --repo $repo srv" "stream --repo $repo dump $layer" \
        "stream --repo $repo cat $layer" "stream --json --repo $repo check $layer" "init --insecure --repo $repo" \
        "pull $(of_store) localhost/srv srv" "pull --json $(of_store) localhost/srv srv" \
        "get-layer --format=tar --root $store/root --runroot $store/run --storage-driver overlay localhost/srv 0"; do
        for target in full closed; do
            local got=0
            if [ $target = full ]; then
                "$BUILD/splitfd" $c > /dev/full 2> "$BATS_TEST_TMPDIR/errors" || got=$?
            else
                "$BUILD/splitfd" $c >&- 2> "$BATS_TEST_TMPDIR/errors" || got=$?
            fi
            echo "$c: $target: $got: $(cat "$BATS_TEST_TMPDIR/errors")"
            [ "$got" -eq 1 ]
            grep -qE '^splitfd.*(writ|standard output).*: (No space left on device|Bad file descriptor)$' "$BATS_TEST_TMPDIR/errors"
        done
    done
}

@test "a standard descriptor that the parent has closed never becomes a file of the repository" {
    [ -z "${SANITIZED:-}" ] || skip "kernel: a sanitizer opens files of its own before main"
    local redirection
    for redirection in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
        repo=$SCRATCH/repo.closed
        rm -rf "$repo"
        repo_init "$repo"
        bash -c "exec strace -ff -qq -o '$BATS_TEST_TMPDIR/opened' -e trace=open,openat,openat2,dup,dup2,dup3,fcntl,socket,socketpair,pipe2 \
            '$BUILD/splitfd' pull $(of_store) localhost/srv srv $redirection" < /dev/null > /dev/null 2>&1 || true
        run_splitfd 0 inspect --repo "$repo" srv
        # A file for each thread: no call is cut in two by another's.
        cat "$BATS_TEST_TMPDIR"/opened.* > "$BATS_TEST_TMPDIR/opened"
        rm "$BATS_TEST_TMPDIR"/opened.*
        grep -q '"/dev/null".* = [012]$' "$BATS_TEST_TMPDIR/opened"
        # The loader's own are closed again before main.
        grep -E ' = [012]$' "$BATS_TEST_TMPDIR/opened" | refute grep -vE '/dev/null|/lib|/etc/ld|F_GET|F_SET|F_OFD_SET'
        run_splitfd 0 fsck --repo "$repo"
    done
}

@test "errors of odd surroundings name the cause" {
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull $(of_store) localhost/srv srv
    # Paths of the store may be relative, as podman's.
    (cd "$SCRATCH" && run_splitfd 0 pull --repo "$repo" --root store/root --runroot store/run localhost/srv srv)
    cd "$SCRATCH"
    run_splitfd 3 pull --repo "$repo" --root nowhere/root localhost/srv
    assert_match "the directory 'nowhere/root' of --root does not exist" "$errors"
    HOME=relative run_splitfd 2 images --user
    assert_match "HOME is not an absolute path" "$errors"
    run_splitfd 3 mount --bootable --repo "$repo" srv "$SCRATCH"
    assert_match "no bootable EROFS image; 'cfsctl oci pull --bootable' makes it" "$errors"
    chmod 755 "$SCRATCH" "$repo"
    SPLITFD_RUN="setpriv --reuid=65534 --regid=65534 --clear-groups" run_splitfd 1 mount --repo "$repo" srv "$SCRATCH"
    assert_match "only root \\(CAP_SYS_ADMIN\\) can mount an image" "$errors"
    cat > "$BATS_TEST_TMPDIR/no-proc" << 'END'
umount -l /proc
exec "$@"
END
    SPLITFD_RUN="unshare --mount sh $BATS_TEST_TMPDIR/no-proc" run_splitfd 1 pull $(of_store) localhost/srv again
    assert_match "/proc is not mounted; splitfd needs it" "$errors"
    SPLITFD_RUN="unshare --mount sh $BATS_TEST_TMPDIR/no-proc" run_splitfd 1 fsck --repo "$repo"
    assert_empty "$output"
    SPLITFD_RUN="env PATH=/nonexistent" run_splitfd 3 pull --repo "$repo" docker://localhost:1/x
    assert_match "there is no skopeo on PATH" "$errors"
}
