#!/usr/bin/env bash
# The speed of `splitfd pull` beside `cfsctl oci pull --local-fetch=auto`, in one run on one machine:
#   tests/bench/pull.sh [WORK…]    WORK: real many big repull changed cold ext4 jobs scale; default: all
# Alternating runs into a new repository each time, warm cache unless said, XFS with shared extents on
# a loop file, medians. Judges nothing. RUNS (5) is the number of runs, BENCH_DIR (by default in the
# cache) keeps the images between benches; `tests/bench/pull.sh clean` removes them.
set -eu
cd "${BASH_SOURCE[0]%/*}/../.."
. tests/lib/common.bash
. tests/lib/store.bash
runs=${RUNS:-5}
dir=${BENCH_DIR:-$SPLITFD_CACHE/bench}
store=$dir/xfs/store repos=$dir/xfs/repos notes=$dir/notes
measure=$BUILD/tests/bench/measure floor=$BUILD/tests/bench/floor

die() {
    echo "bench: $*" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || die "needs root"
CFSCTL=$(tests/lib/peers path cfsctl) || die "needs cfsctl; tests/lib/peers cfsctl builds it"
[ -x "$measure" ] || die "$measure is missing; make test-programs"

mounted() { mountpoint -q "$1"; }
open_disk() { # NAME TYPE SIZE
    mkdir -p "$dir/$1"
    mounted "$dir/$1" && return
    if [ -e "$dir/$1.img" ]; then mount -o loop "$dir/$1.img" "$dir/$1"; else fs_make "$2" "$dir/$1" "$3"; fi
}
close_disks() {
    unmount_below "$dir/xfs"
    unmount_below "$dir/ext4"
}
if [ "${1:-}" = clean ]; then
    close_disks
    rm -rf --one-file-system "$dir"
    exit 0
fi
trap close_disks EXIT

images_of() { jq -r '.[].names[]?' "$1/root/overlay-images/images.json" 2> /dev/null || true; }
# Builds an image unless the store has it.
have_image() { # KIND [STORE]
    images_of "${2:-$store}" | grep -qx "localhost/$1:latest" || tests/lib/images build "$1" "${2:-$store}"
}

# The commands that are compared; $repo, $kind and $store are theirs.
ours() { "$measure" "$note" "$BUILD/splitfd" pull --quiet --repo "$repo" --root "$store/root" --runroot "$store/run" \
    --storage-driver overlay "$@" "localhost/$kind" "$kind" > /dev/null; }
theirs() { CONTAINERS_STORAGE_ROOT=$store/root "$measure" "$note" "$CFSCTL" --repo "$repo" oci pull \
    --local-fetch=auto "containers-storage:localhost/$kind" "$kind" > /dev/null; }
bare() { "$measure" "$note" "$floor" "$(cat "$notes/$kind.trees")" "$repo/objects" > /dev/null; }

fresh() {
    rm -rf "$repos"/*
    repo=$repos/r$RANDOM
    mkdir -p "$repos"
    "$BUILD/splitfd" init --insecure --repo "$repo" > /dev/null
    sync -f "$repos"
}
# Reads every file of the store, so that all begin warm.
warm() { find "$store/root/overlay" -type f -not -path '*/merged/*' -print0 | xargs -0 cat > /dev/null; }

# compare TITLE PREPARE NAME=COMMAND…: alternating runs. PREPARE makes $repo before each.
compare() {
    local title=$1 prepare=$2 n pair rows=()
    shift 2
    for pair in "$@"; do
        : > "$notes/${pair%%=*}"
        rows+=("${pair%%=*}=$notes/${pair%%=*}")
    done
    for n in $(seq 1 "$runs"); do
        for pair in "$@"; do
            $prepare
            note=$notes/${pair%%=*}
            ${pair#*=} || die "$title: '${pair#*=}' failed"
        done
    done
    python3 tests/bench/table.py "$title" "${rows[@]}"
}

floor_of() { # the floor program, where it is built and the image is one directory
    [ ! -x "$floor" ] || echo "floor=bare"
}
# The layers of an image as one folder for the floor program.
collect_trees() {
    local d id tree=$dir/xfs/trees/$kind
    rm -rf "$tree" && mkdir -p "$tree"
    for d in $(store_diff_ids "$store" "localhost/$kind:latest"); do
        for id in $(store_layer_ids "$store" "$d"); do
            cp -a --reflink=always "$store/root/overlay/$id/diff" "$tree/$id"
        done
    done
    echo "$tree" > "$notes/$kind.trees"
}

plain() { # KIND
    kind=$1
    have_image "$kind"
    collect_trees
    warm
    compare "$kind: warm, new repository ($(du -sh --apparent-size "$(cat "$notes/$kind.trees")" | cut -f1))" fresh \
        splitfd=ours "splitfd-no-image=ours --no-image" cfsctl=theirs $(floor_of)
    count_calls
}
count_calls() {
    command -v strace > /dev/null || return 0
    fresh
    strace -f -c -qq -U calls,name -S calls -o "$notes/calls" "$BUILD/splitfd" pull --quiet --repo "$repo" --root "$store/root" \
        --runroot "$store/run" --storage-driver overlay "localhost/$kind" "$kind" > /dev/null || return 0
    echo "  system calls of splitfd for $(find "$repo/objects" -type f | wc -l) objects:" \
        "$(awk '$1 ~ /^[0-9]+$/ && $2 != "total" { printf "%s %s, ", $2, $1; if (++n == 12) exit }' "$notes/calls")"
}

again_ours() {
    fresh
    note=$notes/none ours
}
repull() {
    kind=real
    have_image real
    warm
    keep_repo() { :; }
    again_ours
    local first=$repo
    compare "real: pulled again, nothing changed (repository of splitfd)" keep_repo splitfd=ours
    fresh
    repo=$repos/theirs && "$CFSCTL" --repo "$repo" init --insecure > /dev/null
    note=$notes/none theirs
    compare "real: pulled again, nothing changed (repository of cfsctl)" keep_repo splitfd=ours cfsctl=theirs
}

changed() {
    have_image ten
    warm
    before_new() {
        fresh
        kind=ten
        note=$notes/none ours
        kind=ten-new
        sync -f "$repos"
    }
    compare "one of ten layers changed, and those above it built anew" before_new splitfd=ours cfsctl=theirs
}

cold() {
    kind=real
    have_image real
    collect_trees
    read_all() { "$measure" "$note" sh -c 'find "$1" -type f -print0 | xargs -0 cat > /dev/null' sh "$(cat "$notes/real.trees")"; }
    fresh_cold() {
        fresh
        sync
        echo 3 > /proc/sys/vm/drop_caches
    }
    compare "real: cold cache" fresh_cold splitfd=ours cfsctl=theirs cat=read_all
}

on_ext4() {
    open_disk ext4 ext4 12G
    kind=real
    local store=$dir/ext4/store repos=$dir/ext4/repos
    have_image real "$store"
    warm
    compare "real: ext4, files are copied" fresh splitfd=ours cfsctl=theirs
}

jobs() {
    kind=real
    have_image real
    warm
    local n rows=()
    for n in $(seq 1 "$(nproc)"); do rows+=("jobs-$n=ours --jobs $n"); done
    compare "real: 1 to $(nproc) threads" fresh "${rows[@]}"
    kind=big
    have_image big
    compare "big: 1 to $(nproc) threads" fresh "${rows[@]}"
}

scale() {
    local n
    for n in 10000 100000 1000000; do
        kind=files-$n
        have_image "$kind"
        runs=$([ "$n" -lt 1000000 ] && echo "$runs" || echo 2) compare "a layer of $n files" fresh splitfd=ours
        echo "  microseconds for each file: $(sort -n "$notes/splitfd" | awk -v n="$n" '{ w[NR] = $1 } END { printf "%.1f", w[int((NR + 1) / 2)] * 1e6 / n }')"
    done
}

open_disk xfs xfs 60G
mkdir -p "$notes" "$repos"
echo "$(nproc) CPUs, $(uname -r), $("$BUILD/splitfd" --version | head -n 1), cfsctl 0.9.4, medians of $runs runs"
[ $# -gt 0 ] || set -- real many big repull changed cold ext4 jobs scale
for work in "$@"; do
    case $work in
    real | many | big) plain "$work" ;;
    ext4) on_ext4 ;;
    repull | changed | cold | jobs | scale) "$work" ;;
    *) die "unknown work '$work'" ;;
    esac
    rm -rf "${repos:?}"/*
done
