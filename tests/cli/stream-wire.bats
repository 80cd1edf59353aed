#!/usr/bin/env bats
# `splitfd stream` on wire streams in files: what is in them, without the descriptors that went along.
load ../lib/common

setup_file() {
    export FILES=$BATS_FILE_TMPDIR
    (cd "$FILES" && mkdir usr && head -c 3000 /dev/urandom > usr/large && head -c 70 /dev/urandom > usr/small &&
        tar --format=ustar -cf layer.tar usr/large usr/small)
    local format
    for format in splitfdstream splitdirfdstream; do
        "$BUILD/splitfd" get-layer --format=$format --inline-max=4096 tar:- < "$FILES/layer.tar" > "$FILES/$format"
    done
    # As a producer with descriptors writes it: these are not in the file.
    python3 - "$FILES" << 'END'
import struct, sys
top = sys.argv[1]
tar = open(top + "/layer.tar", "rb").read()
head, rest = tar[:512], tar[512 + 3000:]
def inline(data): return struct.pack("<q", -len(data)) + data
def meta(data): return struct.pack("<BI", 0, len(data)) + data
def file(name, size, directory): return struct.pack("<BQII", 2, size, directory, len(name)) + name
open(top + "/with-fds", "wb").write(inline(head) + struct.pack("<q", 0) + inline(rest))
open(top + "/with-dirs", "wb").write(meta(head) + file(b"usr/l\033\xff", 3000, 1) + meta(rest))
open(top + "/skipped", "wb").write(inline(head) + struct.pack("<q", 1) + inline(rest))
open(top + "/minimum", "wb").write(inline(head) + struct.pack("<q", -1 << 63))
open(top + "/absolute", "wb").write(meta(head) + file(b"/etc/passwd", 1, 0))
open(top + "/unknown", "wb").write(meta(head) + b"\3")
END
}
setup() { cd "$FILES"; }
sha_of() { sha256sum < "$1" | cut -d' ' -f1; }

@test "cat gives the layer, check its sha256, in either format" {
    local format
    for format in splitfdstream splitdirfdstream; do
        assert_same "$(sha_of layer.tar)" "$(splitfd stream cat "./$format" | sha256sum | cut -d' ' -f1)"
        run_splitfd 0 stream check "$FILES/$format"
        assert_match "ok  $format  [0-9]+ bytes: .*, 0 references" "$output"
        assert_match "sha256:$(sha_of layer.tar)" "$output"
        # From standard input, and with the format said.
        splitfd stream check --json --format=$format - < "$format" > json
        assert_same "true $format $(stat -c %s "$format") $(stat -c %s layer.tar) sha256:$(sha_of layer.tar)" \
            "$(jq -r '"\(.ok) \(.format) \(.size) \(.inline_bytes) \(.sha256)"' json)"
    done
}
@test "dump shows bytes and references, as text and as JSON" {
    run_splitfd 0 stream dump ./with-fds
    assert_match "format +splitfdstream" "$output"
    assert_match "           0  inline +512" "$output"
    assert_match "         520  file +-  descriptor 0" "$output"
    assert_same '[["inline",0,512,null],["file",520,null,0],["inline",528,'$(($(stat -c %s with-fds) - 536))',null]]' \
        "$(splitfd stream dump --json ./with-fds | jq -c '[.chunks[] | [.kind, .offset, .size, .descriptor]]')"
    run_splitfd 0 stream dump ./with-dirs
    assert_match "format +splitdirfdstream" "$output"
    # A name cannot write to a terminal what it likes.
    assert_match '         517  file +3000  directory 1  usr/l\\x1b\\xff' "$output"
    assert_same "$(printf 'usr/l\033\377' | base64)" \
        "$(splitfd stream dump --json ./with-dirs | jq -r '.chunks[1].name_base64')"
    assert_same content "$(splitfd stream dump --json ./splitdirfdstream | jq -r '.chunks[1].kind')"
}
@test "references have no bytes: check counts them, cat says so" {
    run_splitfd 0 stream check ./with-fds
    assert_match "1 references" "$output"
    run_splitfd 0 stream check ./with-dirs
    assert_match "1 references" "$output"
    run_splitfd 4 stream cat ./with-fds
    assert_match "splitfdstream, byte 520: descriptor 0 is referred to, which a file" "$errors"
    run_splitfd 4 stream cat ./with-dirs
    assert_match "splitdirfdstream, byte 517: directory 1 is referred to" "$errors"
}
@test "check tells offset and reason" {
    run_splitfd 4 stream check ./skipped
    assert_match "splitfdstream, byte 520: descriptor 1 is referred to where 0 has to come" "$errors"
    run_splitfd 4 stream check ./minimum
    assert_match "splitfdstream, byte 520: an inline chunk of 9223372036854775808 bytes, at most" "$errors"
    run_splitfd 4 stream check ./absolute
    assert_match "splitdirfdstream, byte 517: the name '/etc/passwd' is absolute" "$errors"
    run_splitfd 4 stream check ./unknown
    assert_match "splitdirfdstream, byte 517: unknown chunk type 0x03" "$errors"
    head -c 600 splitfdstream > cut
    run_splitfd 4 stream check ./cut
    assert_match "splitfdstream, byte 600: the stream ends inside a chunk's bytes, 2928 bytes are missing" "$errors"
    head -c 515 splitdirfdstream > cut
    run_splitfd 4 stream check ./cut
    assert_match "splitdirfdstream, byte 515: .* 2 bytes are missing" "$errors"
    head -c 524 splitfdstream > cut
    run_splitfd 4 stream check ./cut
    assert_match "splitfdstream, byte 520: .*prefix, 4 of 8 bytes are missing" "$errors"
}
@test "what is no stream, or cannot be told" {
    run_splitfd 2 stream check ./layer.tar
    assert_match "does not look like a stream" "$errors"
    head -c 16 /dev/zero > zeros
    run_splitfd 2 stream check ./zeros
    run_splitfd 4 stream check --format=splitfdstream ./zeros
    head -c 15 /dev/zero > zeros
    run_splitfd 0 stream check --format=splitdirfdstream zeros
    : > empty
    run_splitfd 0 stream check ./empty
    run_splitfd 2 stream check --format=tar ./layer.tar
    run_splitfd 3 stream check ./none
    splitfd init --insecure --repo "$FILES/repo" > /dev/null
    exec {fd}< "$FILES/repo"
    "$BUILD/splitfd" get-layer --objects=$fd tar:- < layer.tar > splitstream
    exec {fd}<&-
    run_splitfd 2 stream dump ./splitstream
    assert_match "is a splitstream" "$errors"
}
