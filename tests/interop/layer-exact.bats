#!/usr/bin/env bats
# Layers as chunk sources: odd but legal layers (tests/lib/odd-layers.py) come back from real stores
# byte for byte, or are refused with the reason; so are layers of stores that are damaged.

load ../lib/common
load ../lib/store

setup_file() {
    require_root && require_program skopeo podman jq python3 || return 0
    scratch_make
    export ODD=$SCRATCH/odd
    "$LIB/odd-layers.py" "$ODD"
    # One layer with files of many sizes, for the damage.
    store_load debian "$ODD/sizes" "$SCRATCH/golden" localhost/sizes
    unmount_below "$SCRATCH/golden"
}
teardown_file() { scratch_drop; }
teardown() {
    [ -z "${store:-}" ] || { unmount_below "$store"; rm -rf "$store"; }
}

tool() { "$BUILD/tests/lib/store-tool" "$@"; }
row() { jq -r --arg c "$1" ".[] | select(.case == \$c) | $2" "$ODD/index.json"; }

# Says what is wrong with the layers of one case in a store, and fails.
judge() { # STORE DRIVER CASE
    local got errors code=0 expect
    expect=$(row "$3" "$([ "$2" = vfs ] && echo .expect_vfs || echo .expect)")
    got=$(tool --root "$1/root" --runroot "$1/run" --driver "$2" tars "localhost/$3" 2> "$SCRATCH/errors") || code=$?
    errors=$(cat "$SCRATCH/errors")
    if [ "$expect" = refused ]; then
        [ $code -eq 4 ] || { echo "exit code $code: $errors"; return 1; }
        assert_match "$(row "$3" .reason)" "$errors"
        return
    fi
    [ $code -eq 0 ] || { echo "exit code $code: $errors"; return 1; }
    assert_same "$(row "$3" '.diff_ids[]')" "$got"
}

judge_all() { # SUITE DRIVER
    local case failed=() n=0
    store=$SCRATCH/$1-$2
    for case in $(jq -r '.[].case' "$ODD/index.json"); do
        store_load "$1" "$ODD/$case" "$store" "localhost/$case" "$2"
        judge "$store" "$2" "$case" > "$SCRATCH/judged" 2>&1 || {
            failed+=("$case")
            sed "s/^/$case: /" "$SCRATCH/judged"
        }
        n=$((n + 1))
    done
    echo "failed: ${failed[*]}"
    [ ${#failed[@]} -eq 0 ] && [ $n -ge 40 ]
}

@test "odd layers in an overlay store of Debian's suite" { judge_all debian overlay; }
@test "odd layers in a vfs store of Debian's suite" { judge_all debian vfs; }
@test "odd layers in an overlay store of the newer suite" {
    require_newer
    judge_all newer overlay
}
@test "odd layers in a vfs store of the newer suite" {
    require_newer
    judge_all newer vfs
}

# A copy of the golden store: $store, its layer's $diff and $split.
damaged() {
    store=$SCRATCH/damaged
    cp -a "$SCRATCH/golden" "$store"
    diff=$(echo "$store"/root/overlay/*/diff/usr)
    diff=${diff%/usr}
    split=$(echo "$store"/root/overlay-layers/*.tar-split.gz)
    [ -d "$diff" ] && [ -f "$split" ]
}

refused() { # CODE REGEX
    local code=0 errors
    errors=$(timeout 20 "$BUILD/tests/lib/store-tool" --root "$store/root" --runroot "$store/run" tars localhost/sizes 2>&1) || code=$?
    echo "$errors"
    [ "$code" -eq "$1" ] && assert_match "$2" "$errors"
}

@test "the golden store is whole" {
    damaged
    assert_same "$(row sizes '.diff_ids[]')" "$(tool --root "$store/root" tars localhost/sizes)"
}

@test "a file that was changed, cut, made longer, deleted" {
    damaged
    printf X | dd of="$diff/usr/f4096" bs=1 seek=4095 conv=notrunc status=none
    refused 4 'f4096'
    truncate -s 4095 "$diff/usr/f4096"
    refused 4 'f4096.*4095'
    truncate -s 4097 "$diff/usr/f4096"
    refused 4 'f4096.*4097'
    rm "$diff/usr/f4096"
    refused 4 'f4096.*missing'
}

@test "a file that became a symlink, a FIFO, a directory, a socket, a device" {
    damaged
    local f=$diff/usr/f4096
    cp "$f" "$store/same" && ln -sf "$store/same" "$f"
    refused 4 'f4096.*a symlink'
    ln -sfn f4095 "$f"
    refused 4 'f4096.*a symlink'
    rm "$f" && mkfifo "$f"
    refused 4 'f4096.*a FIFO'
    rm "$f" && mkdir "$f"
    refused 4 'f4096.*a directory'
    rmdir "$f" && mknod "$f" c 1 5
    refused 4 'f4096.*a device'
    rm "$f" && mknod "$f" c 0 0
    refused 4 'f4096.*a device'
    rm "$f" && (cd "${f%/*}" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("f4096")')
    refused 4 'f4096.*a socket'
}

@test "a folder of the layer that became a symlink out of the store" {
    damaged
    mv "$diff/usr" "$store/usr" && ln -s "$store/usr" "$diff/usr"
    refused 4 'missing'
    ln -sfn ../../../../usr "$diff/usr"
    refused 4 'missing'
}

@test "a folder of the layer with another file system on it" {
    damaged
    cp -a "$diff/usr" "$store/usr"
    mount -t tmpfs none "$diff/usr"
    cp -a "$store/usr/." "$diff/usr"
    refused 1 'f1.*cross-device'
}

@test "a metacopy stub in the place of a file" {
    damaged
    rm "$diff/usr/f1048577" && truncate -s 1048577 "$diff/usr/f1048577"
    setfattr -n trusted.overlay.metacopy "$diff/usr/f1048577" || skip "kernel: no trusted xattrs here"
    refused 4 'f1048577.*metacopy'
}

@test "a tar-split that is gone, empty, cut, followed by garbage, not gzip" {
    damaged
    local whole=$store/whole n
    mv "$split" "$whole"
    refused 4 'tar-split'
    : > "$split"
    refused 4 'tar-split.*empty file'
    for n in 1 9 10 100 $(($(stat -c %s "$whole") - 1)); do
        head -c "$n" "$whole" > "$split"
        refused 4 'truncated'
    done
    { cat "$whole" && echo garbage; } > "$split"
    refused 4 'gzip|truncated'
    zcat "$whole" > "$split"
    refused 4 'not gzip'
    zstd -q -c "$whole" > "$split"
    refused 4 'not gzip'
    zcat "$whole" | head -n 5 | gzip > "$split"
    refused 4 'tar-split gives'
    zcat "$whole" | head -c 3000 | gzip > "$split"
    refused 4 'ends inside'
    rm "$split" && mkfifo "$split"
    refused 4 'tar-split'
}

@test "a tar-split in several gzip members, without newlines" {
    damaged
    zcat "$split" | tr -d '\n' > "$store/json"
    { head -c 1000 "$store/json" | gzip && printf '' | gzip && tail -c +1001 "$store/json" | gzip; } > "$split"
    assert_same "$(row sizes '.diff_ids[]')" "$(tool --root "$store/root" tars localhost/sizes)"
}

@test "a tar-split with one bit flipped, at a hundred places" {
    damaged
    python3 - "$split" "$store/flipped" << 'END'
import random, sys
data = open(sys.argv[1], "rb").read()
random.seed(7)
for i in range(100):
    flipped = bytearray(data)
    flipped[random.randrange(10, len(data))] ^= 1 << random.randrange(8)
    open("%s.%03d" % (sys.argv[2], i), "wb").write(flipped)
END
    local f whole same=0
    whole=$(row sizes '.diff_ids[]')
    for f in "$store"/flipped.*; do
        cp "$f" "$split"
        # Some bits between the blocks of a deflate stream mean nothing.
        if [ "$(tool --root "$store/root" tars localhost/sizes 2> /dev/null)" = "$whole" ]; then
            same=$((same + 1))
        else
            refused 4 'tar-split|f[0-9]'
        fi
    done
    [ $same -lt 10 ]
}

@test "a diff-size that is not the tar's" {
    damaged
    local records=$store/root/overlay-layers/layers.json
    jq -c '.[0]["diff-size"] -= 512' "$records" > "$records.new" && mv "$records.new" "$records"
    refused 4 'more than the'
    jq -c '.[0]["diff-size"] += 1024' "$records" > "$records.new" && mv "$records.new" "$records"
    refused 4 'the tar-split gives'
}

@test "an image that is removed before its layers are opened" {
    damaged
    local code=0
    coproc WAITING { tool --root "$store/root" --runroot "$store/run" --wait tars localhost/sizes 2>&1; }
    local out=${WAITING[0]} in=${WAITING[1]} pid=$WAITING_PID line
    read -r line <&"$out" && [ "$line" = opened ]
    store_make "$store"
    suite_podman debian "$store" -- rmi -f localhost/sizes
    eval "exec $in>&-"
    read -r line <&"$out" || true
    wait "$pid" || code=$?
    echo "$code: $line"
    [ "$code" -eq 3 ] && [ -n "$line" ]
}
