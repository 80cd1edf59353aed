#!/usr/bin/env bats
# Stores that are damaged, hostile or not there: one clear error, nothing visible left behind.
# bats file_tags=asan

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage

setup_file() { damage_setup_file; }
teardown_file() { scratch_drop; }
setup() { damage_setup; }
teardown() { damage_teardown; }

@test "the image is not there" {
    store_pull 3 "$repo" "$store" localhost/other small
    assert_one_error 'localhost/other'
    assert_nothing_visible "$repo"
}

@test "the store is not there" {
    store_pull 3 "$repo" "$store-none" localhost/small small
    assert_one_error "$store-none"
    assert_nothing_visible "$repo"
    [ ! -e "$store-none" ]
}

@test "the store is an empty folder, and nothing is made in it" {
    mkdir -p "$store-empty/root" "$store-empty/run"
    store_pull 3 "$repo" "$store-empty" localhost/small small
    assert_nothing_visible "$repo"
    assert_silent ls -A "$store-empty/root"
}

@test "an ambiguous ID lists the candidates" {
    local id twin
    id=$(store_image_id "$store" localhost/small:latest)
    twin=${id:0:60}0000
    [ "$twin" != "$id" ]
    cp -a "$store/root/overlay-images/$id" "$store/root/overlay-images/$twin"
    edit_json "$(images_json)" '. + [.[0] | .id = $t | .names = []]' --arg t "$twin"
    store_pull 2 "$repo" "$store" "${id:0:12}" small
    assert_one_error "images fit"
    assert_match "${twin:0:61}" "$errors"
    assert_match "${id:0:61}" "$errors"
    assert_nothing_visible "$repo"
}

@test "a file's content changed" {
    printf X | dd of="$middle/file-1000000" bs=1 seek=500000 conv=notrunc status=none
    assert_refused 4 'file-1000000|hard-elsewhere'
}

@test "one bit of a file that is kept inline changed" {
    printf '\377' | dd of="$middle/file-64" bs=1 seek=10 conv=notrunc status=none
    assert_refused 4 'file-64'
}

@test "a file was cut short" {
    truncate -s 999999 "$middle/file-1000000"
    assert_refused 4 'file-1000000|hard-elsewhere'
}

@test "a file was cut to nothing" {
    truncate -s 0 "$middle/file-4097"
    assert_refused 4 '(file|hard)-4097'
}

@test "a file grew" {
    printf X >> "$middle/file-65536"
    assert_refused 4 'file-65536'
}

@test "a file is gone" {
    rm "$middle/file-65536"
    assert_refused '1|3|4' 'file-65536'
}

@test "a file was replaced by a symlink to another file of its size" {
    cp "$middle/file-65536" "$store/same"
    ln -sf "$store/same" "$middle/file-65536"
    assert_refused 4 'file-65536'
}

@test "a file was replaced by a FIFO: no hang" {
    rm "$middle/file-65536" && mkfifo "$middle/file-65536"
    SPLITFD_TIMEOUT=20 assert_refused 4 'file-65536'
}

@test "a file was replaced by a device: not opened" {
    rm "$middle/file-65536" && mknod "$middle/file-65536" c 1 5
    SPLITFD_TIMEOUT=20 assert_refused 4 'file-65536'
}

@test "a file was replaced by a directory" {
    rm "$middle/file-65536" && mkdir "$middle/file-65536"
    assert_refused 4 'file-65536'
}

@test "a file was replaced by a socket" {
    rm "$middle/file-65536"
    python3 -c 'import socket, os, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind("file-65536")' "$middle"
    assert_refused 4 'file-65536'
}

@test "a directory was replaced by a symlink out of the layer" {
    mv "$middle/private" "$store/private-elsewhere"
    ln -s "$store/private-elsewhere" "$middle/private"
    assert_refused '3|4' 'private'
}

@test "the layer's diff was replaced by a symlink" {
    local diff=$store/root/overlay/${layers[1]}/diff
    mv "$diff" "$store/diff-elsewhere"
    ln -s "$store/diff-elsewhere" "$diff"
    assert_refused '1|4' 'diff'
}

@test "the layer's directory is gone" {
    rm -rf "$store/root/overlay/${layers[1]}"
    assert_refused '1|3|4' "${layers[1]:0:12}"
}

@test "tar-split missing" {
    rm "$(tar_split_of 1)"
    assert_refused '3|4' 'tar-split'
}

@test "tar-split cut short, at several places" {
    local size n
    size=$(stat -c %s "$(tar_split_of 1)")
    for n in 0 5 100 $((size / 2)) $((size - 8)) $((size - 1)); do
        cp "$GOLDEN/root/overlay-layers/${layers[1]}.tar-split.gz" "$(tar_split_of 1)"
        truncate -s "$n" "$(tar_split_of 1)"
        assert_refused 4 'tar-split|diff-size'
    done
}

@test "tar-split with a flipped bit, at 40 places: refused, or the flip did not matter" {
    local size n at byte result
    size=$(stat -c %s "$(tar_split_of 1)")
    for n in $(seq 1 40); do
        cp "$GOLDEN/root/overlay-layers/${layers[1]}.tar-split.gz" "$(tar_split_of 1)"
        at=$(((n * 7919) % size))
        byte=$(dd if="$(tar_split_of 1)" bs=1 skip=$at count=1 status=none | od -An -tu1)
        printf "\\x$(printf %x $((byte ^ (1 << (n % 8)))))" |
            dd of="$(tar_split_of 1)" bs=1 seek=$at conv=notrunc status=none
        rm -rf "$repo" && repo_init "$repo"
        result=0
        store_pull '0|4' "$repo" "$store" localhost/small small || return 1
        if [ -z "$errors" ]; then assert_layers_exact "$repo" small; else assert_nothing_visible "$repo"; fi
    done
}

@test "tar-split with garbage behind it, or no gzip at all" {
    echo garbage >> "$(tar_split_of 1)"
    assert_refused 4 'tar-split|gzip'
    echo 'not gzip' > "$(tar_split_of 1)"
    assert_refused 4 'tar-split|gzip'
}

@test "tar-split of another layer" {
    cp "$(tar_split_of 2)" "$(tar_split_of 1)"
    assert_refused 4 "layer ${layers[1]:0:12} .*the tar-split gives more than the [0-9]+ bytes that the layer has"
}

@test "tar-split replaced by a FIFO: no hang" {
    rm "$(tar_split_of 1)" && mkfifo "$(tar_split_of 1)"
    SPLITFD_TIMEOUT=20 assert_refused '1|4' 'tar-split|regular'
}

@test "tar-split that names files outside of the layer" {
    local name
    for name in ../../../../../../../../etc/passwd /etc/passwd ../link a/../../../etc/hostname; do
        zcat "$GOLDEN/root/overlay-layers/${layers[1]}.tar-split.gz" |
            sed "s|\"name\":\"opt/odd/file-65536\"|\"name\":\"$name\"|" | gzip > "$(tar_split_of 1)"
        zcat "$(tar_split_of 1)" | grep -qF "\"$name\""
        assert_refused '3|4' "layer ${layers[1]:0:12} .*: (has [0-9]+ bytes in the store, 65536 in the layer|is missing from the store): it was (changed|deleted)"
    done
}

@test "tar-split with a name that ends in NUL, or is empty, or very long" {
    local name
    for name in 'opt/odd/file-65536\\u0000' '' "$(printf 'x%.0s' $(seq 1 5000))"; do
        zcat "$GOLDEN/root/overlay-layers/${layers[1]}.tar-split.gz" |
            sed "s|\"name\":\"opt/odd/file-65536\"|\"name\":\"$name\"|" | gzip > "$(tar_split_of 1)"
        assert_refused '1|3|4' "layer ${layers[1]:0:12} .*entry 87[, ].*: (NUL in a JSON string|not a name that a file can have)$"
    done
}

@test "a tar-split that unpacks to gigabytes is refused in bounded memory" {
    { printf '{"type":2,"payload":"'; head -c 3000000000 /dev/zero | tr '\0' A; printf '"}\n'; } | gzip -1 > "$(tar_split_of 1)"
    # A sanitizer's shadow memory is address space too.
    local limit="prlimit --as=2000000000"
    [ -z "${SANITIZED:-}" ] || limit=
    SPLITFD_RUN=$limit assert_refused 4 'entry 0, at byte 0: longer than 64 MiB'
}

@test "a layer's record is missing" {
    edit_json "$(layers_json)" 'map(select(.id != $id))' --arg id "${layers[1]}"
    assert_refused '1|3|4' "${layers[1]:0:12}"
}

@test "a layer's record is marked incomplete" {
    edit_layer 1 '.flags = {"incomplete": true}'
    assert_refused '1|4' 'incomplete'
}

@test "a layer's record has another diff-digest" {
    edit_layer 1 '.["diff-digest"] = "sha256:" + ("0" * 64)'
    assert_refused 4 'has the diff_id sha256:0{64} by the store, but sha256:[0-9a-f]{64} by the config'
}

@test "a layer's record has another diff-size" {
    edit_layer 1 '.["diff-size"] += 512'
    assert_refused 4 'bytes'
}

@test "layers whose parents form a loop" {
    edit_json "$(layers_json)" \
        'map(if .id == $id then .parent = $last else . end)' --arg id "${layers[0]}" --arg last "${layers[2]}"
    SPLITFD_TIMEOUT=20 assert_refused 4 'their parents form a loop'
}

@test "a layer ID that is a path" {
    edit_json "$(layers_json)" 'map(if .id == $id then .parent = "../../../etc" else . end)' --arg id "${layers[1]}"
    assert_refused '3|4' "layers.json: record 1 is malformed: the parent's ID is not 64 hex digits"
}

@test "layers.json and images.json that are no JSON, cut short, or gone" {
    local file
    for file in "$(layers_json)" "$(images_json)"; do
        cp "$file" "$store/keep"
        echo '{' > "$file" && assert_refused '1|4' "$(basename "$file")"
        head -c 100 "$store/keep" > "$file" && assert_refused '1|4' "$(basename "$file")"
        : > "$file" && assert_refused '1|3|4' 'is missing in the store|no such image in the store'
        rm "$file" && assert_refused '1|3|4' 'is missing in the store|no such image in the store'
        cp "$store/keep" "$file"
    done
    store_pull 0 "$repo" "$store" localhost/small small
}

@test "manifest or config that is not what its digest says" {
    local id file
    id=$(store_image_id "$store" localhost/small:latest)
    for file in "$store/root/overlay-images/$id/manifest" \
        "$store/root/overlay-images/$id/=$(printf 'sha256:%s' "$id" | base64 -w 0)"; do
        cp "$file" "$store/keep"
        sed -i 's/sha256:\(.\)/sha256:\1\1/' "$file"
        assert_refused 4 'was changed: the content has the digest sha256:[0-9a-f]{64}, recorded is sha256:'
        cp "$store/keep" "$file"
    done
}

@test "after a repair the same pull works, and what the failed one left is used or removed" {
    printf X | dd of="$middle/file-1000000" bs=1 seek=500000 conv=notrunc status=none
    assert_refused 4 'file-1000000|hard-elsewhere'
    cp "$GOLDEN/root/overlay/${layers[1]}/diff/opt/odd/file-1000000" "$middle/file-1000000"
    store_pull 0 "$repo" "$store" localhost/small small
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" small
}

@test "swapped content that CRC-64 and sizes cannot see is found by --verify-diffid" {
    # The tar's own bytes, not a file's: a time stamp in a header.
    python3 - "$(tar_split_of 1)" <<'END'
import base64, gzip, json, sys
lines = [json.loads(l) for l in gzip.open(sys.argv[1])]
for e in lines:
    if e["type"] == 2:
        data = bytearray(base64.b64decode(e["payload"]))
        at = data.find(b"ustar")
        if at >= 257:
            head = at - 257
            data[head + 136:head + 147] = b"00000000001"
            data[head + 148:head + 156] = b" " * 8
            data[head + 148:head + 156] = b"%06o\0 " % sum(data[head:head + 512])
            e["payload"] = base64.b64encode(data).decode()
            break
with gzip.open(sys.argv[1], "wb") as f:
    for e in lines:
        f.write(json.dumps(e, separators=(",", ":")).encode() + b"\n")
END
    assert_refused 4 'sha256|diff_id|digest' --verify-diffid
}
