#!/usr/bin/env bats
# What the program brings along when it starts: few libraries, small. What is opened at run time is
# told to packagers, and missed only by who needs it.

load ../lib/common

# The JSON of all notes of the section .note.dlopen, as one array.
dlopen_notes() { # ELF
    objcopy -O binary --only-section=.note.dlopen "$1" "$BATS_TEST_TMPDIR/notes"
    python3 - "$BATS_TEST_TMPDIR/notes" << 'END'
import json, struct, sys
data, out, at = open(sys.argv[1], "rb").read(), [], 0
while at < len(data):
    owner, size, kind = struct.unpack_from("<III", data, at)
    text = data[at + 12 + owner : at + 12 + owner + size]
    assert (owner, kind) == (4, 0x407C0C0A) and data[at + 12 : at + 16] == b"FDO\0", "not a note of this kind"
    assert text.endswith(b"\0") and b"\0" not in text[:-1], "no NUL-terminated text"
    out += json.loads(text[:-1])
    at += 16 + (size + 3) // 4 * 4
print(json.dumps(out))
END
}

@test "libraries that few commands need are not loaded at the start, and named in a note" {
    local elf soname
    for elf in "$BUILD/splitfd" "$BUILD"/libsplitfd.so.*; do
        [ -e "$elf" ] || continue
        readelf -dW "$elf" > "$BATS_TEST_TMPDIR/dynamic"
        refute grep -qE 'NEEDED.*(archive|lzma|bz2|IPSec|xml|icu|stdc)' "$BATS_TEST_TMPDIR/dynamic"
        for soname in liblzma.so.5 libbz2.so.1.0; do
            dlopen_notes "$elf" | jq -e --arg n $soname 'any(.[]; .soname == [$n] and .priority == "recommended")'
        done
    done
    [ "$(ldd "$BUILD/splitfd" | wc -l)" -lt 14 ]
}

@test "the exit status of a program is told where the caller ignores SIGCHLD" {
    printf '#!/bin/sh\nexit 3\n' > "$BATS_TEST_TMPDIR/skopeo"
    chmod +x "$BATS_TEST_TMPDIR/skopeo"
    "$BUILD/splitfd" init --insecure --repo "$BATS_TEST_TMPDIR/r" > /dev/null
    run python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$BUILD/splitfd" pull --repo "$BATS_TEST_TMPDIR/r" \
        --skopeo "$BATS_TEST_TMPDIR/skopeo" "dir:$BATS_TEST_TMPDIR"
    [ "$status" -ne 0 ]
    [[ $output == *"skopeo ended with exit status 3"* ]]
}

@test "the stripped program is smaller than 700 KiB" {
    [ "${BUILD##*/}" = default ] || skip "kernel: a sanitizer build is larger"
    strip -o "$BATS_TEST_TMPDIR/stripped" "$BUILD/splitfd"
    [ "$(stat -c %s "$BATS_TEST_TMPDIR/stripped")" -lt $((700 * 1024)) ]
}

@test "the bytes of program and library do not depend on the folder of the build" {
    local elf
    # All of the archive is in the shared library; link-time optimisation keeps the options in its objects.
    for elf in "$BUILD/splitfd" "$BUILD"/libsplitfd.so.*; do
        [ -e "$elf" ] || continue
        ! grep -qF "$SPLITFD_TOP" "$elf" || { echo "$elf names $SPLITFD_TOP"; return 1; }
    done
}

@test "without liblzma and libbz2 what they have compressed is a clear error, all else works" {
    require_root
    require_program zstd xz bzip2
    local libs soname name
    libs=$(ldconfig -p | awk '$1 == "liblzma.so.5" || $1 ~ /^libbz2[.]so[.]1([.]0)?$/ { print $NF }')
    [ -n "$libs" ]
    tar -C "$BATS_TEST_TMPDIR" -cf "$BATS_TEST_TMPDIR/t.tar" --files-from /dev/null
    without() {
        unshare --mount sh -c 'for l in $1; do mount --bind /dev/null "$l"; done; shift; exec "$@"' sh "$libs" \
            "$BUILD/splitfd" "$@"
    }
    for name in gzip zstd xz bzip2; do
        "$name" -c "$BATS_TEST_TMPDIR/t.tar" > "$BATS_TEST_TMPDIR/t.$name"
    done
    for name in gzip zstd; do
        without get-layer --format=tar tar:- 0 < "$BATS_TEST_TMPDIR/t.$name" > "$BATS_TEST_TMPDIR/out"
        cmp "$BATS_TEST_TMPDIR/t.tar" "$BATS_TEST_TMPDIR/out"
    done
    for name in xz bzip2; do
        soname=liblzma.so.5
        [ $name = xz ] || soname=libbz2.so.1.0
        run without get-layer --format=tar tar:- 0 < "$BATS_TEST_TMPDIR/t.$name"
        [ "$status" -eq 1 ]
        assert_match "cannot read what $name has compressed: .*install $soname" "$output"
    done
}

@test "a wrong command line is one line that names the command's help" {
    local command
    for command in pull push inspect mount umount dump compute-id get-layer import-layer stream; do
        run_splitfd 2 "$command"
        assert_match "^splitfd $command: [^
]*; see 'splitfd $command --help'\$" "$errors"
    done
    run_splitfd 2 experimental-image-proxy
    assert_match 'standard input \(--sockfd N names another socket\) is not a Unix socket' "$errors"
}

@test "what a command takes is said as its usage line says it, and the nearest word is offered" {
    run_splitfd 2 pull one two three
    assert_match "^splitfd pull: expected IMAGE and optionally NAME; see" "$errors"
    run_splitfd 2 images one
    assert_match "^splitfd images: expected no arguments; see" "$errors"
    run_splitfd 2 fsck one two
    assert_match "^splitfd fsck: expected at most NAME; see" "$errors"
    run_splitfd 2 get-layer one
    assert_match "^splitfd get-layer: expected IMAGE and LAYER; see" "$errors"
    assert_match "^Usage: splitfd push \[OPTIONS\] --to SOCKET IMAGE \[NAME\]" "$("$BUILD/splitfd" push --help)"
    assert_match "^Usage: splitfd umount DIR" "$("$BUILD/splitfd" umount --help)"
    run_splitfd 2 pull --jbos=3 one
    assert_match "unknown option '--jbos=3' \(did you mean '--jobs'\?\); see" "$errors"
    run_splitfd 2 pull --nothing-like-it one
    assert_match "unknown option '--nothing-like-it'; see" "$errors"
    run_splitfd 2 plul
    assert_match "unknown command 'plul' \(did you mean 'pull'\?\); see" "$errors"
    run_splitfd 2 rootless-opene # splitfd's own
    assert_match "unknown command 'rootless-opene'; see" "$errors"
    run_splitfd 2 pull -j
    assert_match "option '-j' requires a value; see" "$errors"
    run_splitfd 2 pull --json=maybe one
    assert_match "^splitfd pull: --json takes true or false, not 'maybe'; see" "$errors"
}

@test "more threads than there may be are refused" {
    local command
    for command in "pull x" "import-layer sha256:0" fsck; do
        run_splitfd 2 $command --jobs 65
        assert_match "--jobs takes a number from 1 to 64, not '65'" "$errors"
    done
}

@test "a failing init leaves no directory that it has made" {
    local top
    # No fs-verity in a tmpfs.
    top=$(mktemp -d -p /dev/shm)
    run_splitfd 1 init --repo "$top/a/b/c"
    assert_match 'has no fs-verity' "$errors"
    run_splitfd 1 init --repo "$top/x//y/"
    mkdir "$top/mine"
    run_splitfd 1 init --repo "$top/mine/r"
    run_splitfd 1 init --repo "$top/mine"
    assert_same "mine" "$(ls "$top")"
    assert_silent ls -A "$top/mine"
    run_splitfd 3 images --repo "$top/mine/r"
    assert_match 'there is no repository' "$errors"
    "$BUILD/splitfd" init --insecure --repo "$top/a/b/c"
    # Other settings: an error, and nothing is taken away.
    run_splitfd 1 init --insecure --algorithm sha256 --repo "$top/a/b/c"
    [ -e "$top/a/b/c/meta.json" ]
    rm -r "$top"
}

@test "a meta.json that a power cut has emptied is named, and made again by init" {
    local repo
    repo=$(mktemp -d)
    run_splitfd 0 init --insecure --algorithm sha256 --repo "$repo"
    cp "$repo/meta.json" "$BATS_TEST_TMPDIR/meta"
    : > "$repo/meta.json"
    run_splitfd 4 images --repo "$repo"
    assert_match "meta.json is empty or has lost its fs-verity data, as after a power cut; 'splitfd init --repo $repo' makes it again" "$errors"
    run_splitfd 0 init --insecure --algorithm sha256 --repo "$repo"
    cmp "$BATS_TEST_TMPDIR/meta" "$repo/meta.json"
    # No other file makes room.
    rm "$repo/meta.json"
    mkfifo "$repo/meta.json"
    refute "$BUILD/splitfd" init --insecure --algorithm sha256 --repo "$repo"
    [ -p "$repo/meta.json" ]
    rm -r "$repo"
}

@test "pull looks at the words of a reference before it opens anything" {
    local reference
    for reference in varlink:/run/x varlink:#i jsonrpc:/run/x 'jsonrpc:/run/x#' '[overlay@/x' 'containers-storage:[x@y]z'; do
        run_splitfd 2 pull --repo /nonexistent/r "$reference"
    done
    run_splitfd 3 pull --repo /nonexistent/r 'varlink:/run/x#i'
    run_splitfd 3 pull --repo /nonexistent/r 'containers-storage:z'
}

@test "the JSON of a layer, of its stream and of a new repository is what the pages say" {
    local top=$BATS_TEST_TMPDIR id
    head -c 100000 /dev/urandom > "$top/data"
    tar -C "$top" -cf "$top/tar" data
    id=sha256:$(sha256sum "$top/tar" | cut -d ' ' -f 1)
    run_splitfd 0 init --insecure --json "$top/r"
    assert_documented init "$output"
    output=$("$BUILD/splitfd" import-layer --json --format=tar --repo "$top/r" "$id" < "$top/tar")
    assert_documented import-layer "$(jq 'del(.stats)' <<< "$output")"
    assert_documented pull "$(jq .stats <<< "$output")"
    jq -e --arg id "$id" '.diff_id == $id and .already_present == false and .stats.objects_copied + .stats.objects_reflinked == 1' <<< "$output"
    run_splitfd 0 layers --json --repo "$top/r"
    assert_documented layers "$output"
    run_splitfd 0 stream --json --repo "$top/r" dump "$id"
    assert_documented stream "$(jq 'del(.refs[])' <<< "$output")"
    run_splitfd 0 stream --json --repo "$top/r" check "$id"
    assert_documented stream "$output"
    run_splitfd 0 fsck --json --repo "$top/r"
    jq -e '.ok and .repo.layers_checked == 1' <<< "$output"
}

# What bash offers for a line whose last word is being typed.
offered() { # WORD…
    PATH=$BUILD:$PATH bash -c '. "$1/contrib/completion/splitfd.bash"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _splitfd splitfd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$SPLITFD_TOP" "$@"
}

@test "bash completes every command, every option and the words of --reflink" {
    local command option
    assert_same "import-layer" "$(offered splitfd imp)"
    for command in $("$BUILD/splitfd" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
        offered splitfd '' | grep -qx -- "$command"
        for option in $("$BUILD/splitfd" "$command" --help | grep -oE '^ {2,6}(-., )?--[a-z.-]+' | grep -oE -- '--.*'); do
            offered splitfd "$command" -- | grep -qx -- "$option" || { echo "$command $option"; return 1; }
        done
    done
    assert_same "always" "$(offered splitfd pull --reflink al)"
    assert_silent offered splitfd pull localhost/
}
