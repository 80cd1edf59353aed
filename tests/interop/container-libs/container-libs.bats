#!/usr/bin/env bats
# Stores made by container-libs itself, with its own options, every layer read by its Diff and by
# get-layer: equal bytes, or both refuse. Its writers' lock and our readers exclude each other.
load ../../lib/common
load ../../lib/store

setup_file() {
    require_interop
    require_program go python3
    scratch_make
    export GOCACHE=$SPLITFD_CACHE/gocache COMPAT=$SCRATCH/compat LAYOUT
    (cd "$SPLITFD_TOP/tests/interop/container-libs" &&
        go build -tags 'containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_zfs' -o "$COMPAT" .)
    LAYOUT=$("$LIB/images" small)
}
teardown_file() { scratch_drop; }
setup() {
    at=$SCRATCH/$BATS_TEST_NUMBER
    mkdir -p "$at/root" "$at/run" "$at/out"
    export CONTAINERS_STORAGE_CONF=$at/storage.conf
}
teardown() { unmount_below "$at"; }

conf() { # the lines of [storage], then those of [storage.options]
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n%s\n[storage.options]\n%s\n' \
        "$driver" "$at/root" "$at/run" "$1" "$2" > "$CONTAINERS_STORAGE_CONF"
}

# The library's options of the writer, "--", those of the reader.
compare() {
    local write=() line i n=0
    while [ "$1" != -- ]; do write+=("$1"); shift; done
    shift
    "$COMPAT" copy "${write[@]}" -driver "$driver" "oci:$LAYOUT" localhost/t > "$at/log" 2>&1
    "$COMPAT" diffs -root "$at/root" -runroot "$at/run" -driver "$driver" "$@" localhost/t:latest "$at/out" > "$at/list"
    while read -r line; do
        i=${line%% *}
        n=$((n + 1))
        if [ -e "$at/out/$i.tar" ]; then
            splitfd get-layer --format=tar localhost/t "$i" | cmp - "$at/out/$i.tar"
        else
            run_splitfd '1|3|4' get-layer --format=tar localhost/t "$i"
        fi
    done < "$at/list"
    [ "$n" -eq 3 ]
    [ -e "$at/out/0.tar" ]
}

@test "overlay" {
    driver=overlay
    conf "" ""
    compare -root "$at/root" -runroot "$at/run" --
}
@test "vfs" {
    driver=vfs
    conf "" ""
    compare -root "$at/root" -runroot "$at/run" --
}
@test "additional image store" {
    driver=overlay
    conf "" "additionalimagestores = [ \"$at/more\" ]"
    compare -root "$at/more" -runroot "$at/run" -- -opt "overlay.imagestore=$at/more"
}
@test "split image store" {
    driver=overlay
    conf "imagestore = \"$at/images\"" ""
    compare -root "$at/root" -runroot "$at/run" -imagestore "$at/images" -- -imagestore "$at/images"
}
@test "transient store" {
    driver=overlay
    conf "transient_store = true" ""
    compare -root "$at/root" -runroot "$at/run" -transient -- -transient
}
@test "a writer of the library holds our reader off, our reader no writer" {
    local start waited pid
    driver=overlay
    conf "" ""
    compare -root "$at/root" -runroot "$at/run" --
    "$COMPAT" lock -root "$at/root" -runroot "$at/run" 3 > "$at/locked" 3>&- &
    pid=$!
    while ! grep -q locked "$at/locked"; do sleep 0.05; done
    start=$(date +%s%N)
    splitfd get-layer --format=tar localhost/t 2 | cmp - "$at/out/2.tar"
    waited=$((($(date +%s%N) - start) / 1000000))
    wait "$pid"
    echo "waited $waited ms"
    [ "$waited" -gt 1000 ]
    # A reader that is stuck in the middle of a layer holds no lock.
    mkfifo "$at/fifo"
    "$BUILD/splitfd" get-layer --format=tar localhost/t 0 > "$at/fifo" 2> /dev/null 3>&- &
    pid=$!
    exec 9< "$at/fifo"
    head -c 1 <&9 > /dev/null
    timeout 20 "$COMPAT" lock -root "$at/root" -runroot "$at/run" 0
    exec 9<&-
    wait "$pid" || true
}
