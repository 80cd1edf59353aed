#!/usr/bin/env bats
# The command that opens files for a reader of a rootless store, and readers that it should not trust.
# bats file_tags=asan, tsan
load ../lib/common

# hostile CASE: what the opener answers.
hostile() {
    mkdir "$BATS_TEST_TMPDIR/$1"
    timeout 60 python3 "$LIB/rootless-hostile.py" "$BUILD/splitfd" "$BATS_TEST_TMPDIR/$1" "$1" 3>&-
}

@test "it is not listed, and of no use by hand" {
    [[ $(splitfd --help) != *rootless-opener* ]]
    run_splitfd 2 rootless-opener
    assert_match 'splitfd itself starts this command' "$errors"
    run_splitfd 2 rootless-opener IMAGE
    assert_match 'splitfd itself starts this command' "$errors"
}

@test "files of a layer, and nothing outside of it" {
    assert_same 'sub/file 1 0123456789
alias/file 1 0123456789
/sub/file -18 /sub/file: cannot open: Invalid cross-device link
out -22 out: is a symlink in the store, not the file that the layer has
../work -18 ../work: cannot open: Invalid cross-device link
../../../secret -18 ../../../secret: cannot open: Invalid cross-device link
etc/passwd 0 
sub -22 sub: is a directory in the store, not the file that the layer has
fifo -22 fifo: is a FIFO in the store, not the file that the layer has
nothing 0 
sub/NULfile -22 not a file'"'"'s name
 -22 not a file'"'"'s name
aaaaaaaaaaaaaaaaaaaa -36 '"$(printf 'a%.0s' $(seq 1 100))"'
sub/file -22 sub/file: has 10 bytes in the store, 11 in the layer: it was changed
ended 0 ' "$(hostile names)"
}

@test "no folder that is not a layer's" {
    assert_same 'hostname -18 hostname: not of a layer of the store
hostname -18 hostname: not of a layer of the store
file -18 file: not of a layer of the store
hostname -18 hostname: not of a layer of the store
hostname -18 hostname: not of a layer of the store
sub/file -18 sub/file: not of a layer of the store
ended 0 ' "$(hostile folders)"
}

@test "it keeps the right to read, where it has it, and no other" {
    local keep=0000000000000000
    [ "$(id -u)" -ne 0 ] || keep=0000000000000004
    assert_same "CapPrm: $keep
CapEff: $keep
NoNewPrivs: 1
ended 0 " "$(hostile rights)"
}

@test "it dies with its parent" {
    assert_same gone "$(hostile orphan)"
}

@test "what is no hello, and what is no request, ends it" {
    local case
    for case in magic version depth no-folder file-as-folder many-folders short long \
        request-short request-long request-without request-two; do
        assert_match $'^closed\nended 4 splitfd rootless-opener: ' "$(hostile $case)"
    done
}
