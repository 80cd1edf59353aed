#!/usr/bin/env bats
# Stores made by container-libs itself, with its own options, every layer read by its Diff and by
# get-layer: equal bytes, or both refuse. Its writers' lock and our readers exclude each other. All of
# it with the newest release of the library and with the oldest that still builds (oldest.mod).
load ../../lib/common
load ../../lib/registry
load ../../lib/store

setup_file() {
    require_interop || return 0
    require_program go python3 docker-registry || return 0
    scratch_make
    export GOCACHE=$SPLITFD_CACHE/gocache PROGRAMS=$SCRATCH/programs LAYOUT
    local here=$SPLITFD_TOP/tests/interop/container-libs
    local tags='containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_zfs'
    (cd "$here" && go build -tags "$tags" -o "$PROGRAMS/newest" . &&
        go build -modfile=oldest.mod -tags "$tags" -o "$PROGRAMS/oldest" . &&
        go build -tags "$tags" -o "$PROGRAMS/conf" ./conf) 3>&-
    # The library runs mkcomposefs, which cfsctl is under that name.
    ln -s "$CFSCTL" "$PROGRAMS/mkcomposefs"
    "$LIB/odd-layers.py" "$SCRATCH/layouts" three-layers
    LAYOUT=$SCRATCH/layouts/three-layers
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    driver=overlay
    start newest
}
teardown() {
    [ -z "${registry_pid:-}" ] || kill "$registry_pid"
    [ -z "${at:-}" ] || forget
}

# A new store, for one of the two releases.
start() { # newest|oldest
    [ -z "${at:-}" ] || forget
    release=$1
    COMPAT=$PROGRAMS/$1
    at=$(mktemp -d "$SCRATCH/XXXXXX")
    mkdir -p "$at/root" "$at/run" "$at/out"
    export CONTAINERS_STORAGE_CONF=$at/storage.conf
}
forget() {
    unmount_below "$at"
    rm -rf "$at"
}
# Runs a test's body for both.
both() { # FUNCTION…
    local release function
    for release in newest oldest; do
        for function in "$@"; do
            echo "# $release: $function"
            driver=overlay
            start $release
            $function
        done
    done
}

conf() { # the lines of [storage], then those of [storage.options]
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n%s\n[storage.options]\n%s\n' \
        "$driver" "$at/root" "$at/run" "${1:-}" "${2:-}" > "$CONTAINERS_STORAGE_CONF"
}

# The library's options of the writer, "--", those of the reader.
compare() {
    local write=()
    while [ "$1" != -- ]; do write+=("$1"); shift; done
    shift
    "$COMPAT" copy "${write[@]}" -driver "$driver" "${source:-oci:$LAYOUT}" localhost/t > "$at/log" 2>&1 ||
        { cat "$at/log"; return 1; }
    compare_layers "$@"
}
compare_layers() { # the reader's options
    local line i n=0
    rm -f "$at/out"/*
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
    # All of them can be had here, from the library as well.
    assert_same "0 1 2" "$(echo $(cat "$at/list"))"
}

plain() {
    conf
    compare -root "$at/root" -runroot "$at/run" --
}
vfs() {
    driver=vfs
    plain
}
additional() {
    conf "" "additionalimagestores = [ \"$at/more\" ]"
    compare -root "$at/more" -runroot "$at/run" -- -opt "overlay.imagestore=$at/more"
}
split() {
    conf "imagestore = \"$at/images\""
    compare -root "$at/root" -runroot "$at/run" -imagestore "$at/images" -- -imagestore "$at/images"
}
# Files that the store keeps with another mode, owner and, for devices and FIFOs, type than the tar's.
masked() {
    conf
    compare -root "$at/root" -runroot "$at/run" -opt "overlay.force_mask=private" --
    getfattr -R -n user.containers.override_stat "$at/root/overlay"/*/diff 2> /dev/null | grep -q override_stat
}
transient() {
    conf "transient_store = true"
    compare -root "$at/root" -runroot "$at/run" -transient -- -transient
}
# A store whose layers belong to other ids on the disk, whatever their headers say.
mapped_store() {
    conf
    export _CONTAINERS_OVERLAY_DISABLE_IDMAP=yes
    compare -root "$at/root" -runroot "$at/run" -idmap 100000:65536 --
    unset _CONTAINERS_OVERLAY_DISABLE_IDMAP
    assert_same 3 "$(jq '[.[] | select(.uidmap)] | length' "$at/root/$driver-layers/layers.json")"
    [ -n "$(find "$at/root/$driver" -type f -uid +99999 -print -quit)" ]
}
mapped_vfs() {
    driver=vfs
    mapped_store
}
# A container's mapped copy of the top layer: empty in its own directory, and the same diff.
mapped_copy() {
    local store=(-root "$at/root" -runroot "$at/run")
    plain
    _CONTAINERS_OVERLAY_DISABLE_IDMAP=yes "$COMPAT" container "${store[@]}" localhost/t:latest 200000:65536
    [ "$(jq '[.[]["mapped-layers"] // [] | .[]] | length' "$at/root/overlay-images/images.json")" -eq 1 ]
    compare_layers
    cmp "$at/out/mapped-0.tar" "$at/out/2.tar"
}

# Layers that the library pulls file by file, and may keep by their digest under a composefs image.
chunked() { # true|false: in composefs form
    local store=(-root "$at/root" -runroot "$at/run" -opt "overlay.use_composefs=$1") source=docker://$registry/$release
    conf
    [ -e "$BATS_TEST_TMPDIR/pushed-$release" ] || "$COMPAT" push "oci:$LAYOUT" "$source:latest"
    : > "$BATS_TEST_TMPDIR/pushed-$release"
    PATH=$PROGRAMS:$PATH
    compare "${store[@]}" -pull enable_partial_images=true -- -opt "overlay.use_composefs=$1"
    [ "$(jq '[.[] | select(.["toc-digest"])] | length' "$at/root/overlay-layers/layers.json")" -eq 3 ]
    assert_same "$([ "$1" = true ] && echo 3 || echo 0)" \
        "$(find "$at/root/overlay" -maxdepth 2 -name composefs-data | wc -l)"
}
chunked_files() { chunked false; }
chunked_composefs() { chunked true; }

@test "overlay" { both plain; }
@test "vfs" { both vfs; }
@test "additional image store" { both additional; }
@test "a store that masks modes and types" { both masked; }
@test "split image store" { both split; }
@test "transient store" { both transient; }
@test "ID-mapped layers: a store with a map, a container's mapped copy" { both mapped_store mapped_vfs mapped_copy; }
@test "zstd:chunked layers of a registry" {
    registry_start "$BATS_TEST_TMPDIR/registry"
    both chunked_files
}
@test "zstd:chunked layers of a registry, in composefs form" {
    registry_start "$BATS_TEST_TMPDIR/registry"
    both chunked_composefs
}

@test "storage.conf, drop-ins, variables, made by chance: the newest release finds the same store" {
    mkdir "$at/conf"
    unset CONTAINERS_STORAGE_CONF
    "$LIB/store-conf.py" store "$PROGRAMS/conf" "$BUILD/tests/lib/store-tool" "$at/conf" 1 "${CONFIGURATIONS:-100}"
}
@test "registries.conf, drop-ins, variables, made by chance: the newest release knows the same short names" {
    mkdir "$at/conf"
    "$LIB/store-conf.py" registries "$PROGRAMS/conf" "$BUILD/tests/lib/store-tool" "$at/conf" 1 "${CONFIGURATIONS:-100}"
}
@test "policy.json, made by chance: the newest release takes the same file" {
    mkdir "$at/conf"
    "$LIB/store-conf.py" policy "$PROGRAMS/conf" "$BUILD/tests/lib/store-tool" "$at/conf" 1 "${CONFIGURATIONS:-100}"
}

# How long a command took, in ms, is in $waited.
timed() {
    local begin
    begin=$(date +%s%N)
    "$@"
    waited=$((($(date +%s%N) - begin) / 1000000))
    echo "$1 $2 took $waited ms" >&2
}
locks() {
    local pid store=(-root "$at/root" -runroot "$at/run")
    plain
    # Its writer holds our reader off.
    "$COMPAT" lock "${store[@]}" 2 > "$at/locked" 3>&- &
    pid=$!
    await "$pid" grep -q locked "$at/locked"
    timed splitfd get-layer --format=tar localhost/t 2 > "$at/tar"
    cmp "$at/tar" "$at/out/2.tar"
    [ "$waited" -gt 1000 ]
    wait "$pid"
    # Our reader holds its writer off for as long as it reads the records: each lock is kept for 2 s here.
    strace -qq -o /dev/null -P "$at/root/overlay-layers/layers.lock" -e trace=fcntl \
        -e inject=fcntl:delay_exit=2000000 "$BUILD/splitfd" get-layer --format=tar localhost/t 2 > "$at/tar" 3>&- &
    pid=$!
    await "$pid" grep -q "OFDLCK.*READ.*:$(stat -c %i "$at/root/overlay-layers/layers.lock") " /proc/locks
    timed "$COMPAT" lock "${store[@]}" 0
    [ "$waited" -gt 1000 ]
    wait "$pid"
    cmp "$at/tar" "$at/out/2.tar"
    # A reader that is stuck in the middle of a layer holds no lock.
    mkfifo "$at/fifo"
    "$BUILD/splitfd" get-layer --format=tar localhost/t 0 > "$at/fifo" 2> /dev/null 3>&- &
    pid=$!
    exec 9< "$at/fifo"
    head -c 1 <&9 > /dev/null
    timed timeout 20 "$COMPAT" lock "${store[@]}" 0
    [ "$waited" -lt 2000 ]
    exec 9<&-
    wait "$pid" || true
}
@test "writers of the library and our readers exclude each other, and no longer than needed" { both locks; }
