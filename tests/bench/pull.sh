#!/usr/bin/env bash
# The speed of `splitfd pull` beside `cfsctl oci pull --local-fetch=auto`, in one run on one machine:
#   tests/bench/pull.sh [WORK…]
#     hash      each way to hash by itself, and which one this CPU gets
#     start     the program's start, and a pull's up to the first byte of a layer
#     real many big    a new repository, warm; with the floor, and the system calls for each file
#     gzip      the same content as gzip layers of an OCI layout, through the skopeo on PATH
#     repull    nothing changed
#     changed   one of ten layers is new: which files are read
#     cold      the page cache is dropped; beside cat of all files
#     ext4      files are copied
#     jobs      1, 2, … as many threads as CPUs, and twice as many
#     scale     layers of 10,000 / 100,000 / 1,000,000 files: time and memory for each
#   Without WORK: all. `tests/bench/pull.sh clean` removes the images that it keeps.
# Alternating runs into a new repository each time, warm cache unless said, XFS with shared extents on
# a loop file, medians. Judges nothing. RUNS (5) is the number of runs, SCALE the sizes of `scale`,
# BENCH_DIR (by default in the cache) keeps the images between benches.
set -eu
cd "${BASH_SOURCE[0]%/*}/../.."
. tests/lib/common.bash
. tests/lib/store.bash
. tests/bench/pull-lib.bash

plain() { # KIND
    kind=$1
    have_image "$kind"
    collect_trees
    warm
    compare "$kind: warm, new repository ($(du -sh --apparent-size "$(cat "$notes/$kind.trees")" | cut -f1))" fresh \
        splitfd=ours "splitfd-no-image=ours --no-image" cfsctl=theirs floor=bare
    fresh
    count_calls splitfd splitfd_pull
    fresh
    count_calls cfsctl cfsctl_pull
}

# Both start the same skopeo, which gives the blobs as they are.
from_layout() { "$measure" "$note" "$BUILD/splitfd" pull --quiet --insecure-policy --skopeo "$(command -v skopeo)" --repo "$repo" "oci:$layout:$kind" "$kind" > /dev/null; }
their_layout() { "$measure" "$note" "$CFSCTL" --repo "$repo" oci pull "oci:$layout:$kind" "$kind" > /dev/null; }
gzip_layers() {
    kind=${1:-real}
    local layout=$dir/xfs/gzip-$kind
    have_image "$kind"
    if [ ! -d "$layout" ]; then
        skopeo copy -q --insecure-policy "containers-storage:$(store_spec "$store")localhost/$kind" "oci:$layout.new:$kind" < /dev/null
        mv "$layout.new" "$layout"
    fi
    cat "$layout"/blobs/sha256/* > /dev/null
    compare "$kind: gzip layers of an OCI layout ($(du -sh "$layout" | cut -f1)), $(skopeo --version)" fresh \
        splitfd=from_layout cfsctl=their_layout
}

repull() {
    kind=real
    have_image real
    warm
    keep_repo() { :; }
    fresh
    note=$notes/none ours
    compare "real: pulled again, nothing changed (repository of splitfd)" keep_repo splitfd=ours cfsctl=theirs
    fresh_theirs
    note=$notes/none theirs
    compare "real: pulled again, nothing changed (repository of cfsctl)" keep_repo splitfd=ours cfsctl=theirs
}

changed() {
    have_image ten
    warm ten
    warm ten-new
    # Each continues its own repository.
    before_new() {
        kind=ten
        if [ "$row" = cfsctl ]; then fresh_theirs && note=$notes/none theirs; else fresh && note=$notes/none ours; fi
        kind=ten-new
        sync -f "$repos"
    }
    compare "one of ten layers changed" before_new splitfd=ours cfsctl=theirs
    row=splitfd before_new
    strace -f --seccomp-bpf -qq -y -e trace=openat,openat2 -e signal=none -o "$notes/opened" $(splitfd_pull) > /dev/null
    echo "  files of the store that were read, by layer:"
    for d in $(store_diff_ids "$store" localhost/ten-new:latest); do
        echo "    $d: $(for id in $(store_layer_ids "$store" "$d"); do
            grep -oE "= [0-9]+<[^>]*/overlay/$id/diff/[^>]*>" "$notes/opened" || true
        done | sed 's/.*</</' | sort -u | wc -l)"
    done
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
    compare "real: ext4, files are copied" fresh splitfd=ours "splitfd-never=ours --reflink=never" cfsctl=theirs
}

jobs() {
    local n rows=()
    for n in $(seq 1 "$(nproc)") $((2 * $(nproc))); do rows+=("jobs-$n=ours --jobs $n"); done
    for kind in real many big; do
        have_image $kind
        warm
        compare "$kind: 1 to $((2 * $(nproc))) threads on $(nproc) CPUs" fresh "${rows[@]}"
    done
}

scale() {
    local n each first=
    for n in ${SCALE:-10000 100000 1000000}; do
        kind=files-$n
        have_image "$kind"
        # Unmeasured, so that the inodes are in the cache for all sizes.
        warm
        runs=$([ "$n" -lt 1000000 ] && echo "$runs" || echo 2) compare "a layer of $n files" fresh \
            splitfd=ours "splitfd-no-image=ours --no-image"
        each=$(awk -v n="$n" -v wall="$(median 1 splitfd)" 'BEGIN { printf "%.2f", wall * 1e6 / n }')
        first=${first:-$each}
        awk -v n="$n" -v each="$each" -v first="$first" -v rss="$(median 4 splitfd-no-image)" 'BEGIN {
            printf "  %s microseconds for each file, %.2f times that of the first size\n", each, each / first
            printf "  peak memory without the tree: %.1f MiB; 24 MiB and 100 bytes for each object are %.1f\n", rss / 1024, 24 + 100 * n / 1048576
        }'
    done
}

start() {
    local crowd=$dir/xfs/crowd n
    runs=20
    repo= kind=files-20
    version() { "$measure" "$note" "$BUILD/splitfd" --version > /dev/null; }
    compare "start: --version" : splitfd=version
    if [ ! -d "$crowd" ]; then
        tests/lib/images build files-20 "$crowd.new"
        tests/bench/crowd.py "$crowd.new/root" 200 100
        mv "$crowd.new" "$crowd"
    fi
    local store=$crowd
    : > "$notes/first-byte"
    for n in $(seq 1 "$runs"); do
        fresh
        "$BUILD/tests/bench/first-open" "$notes/first-byte" "$store"/root/overlay-layers/*.tar-split.gz -- $(splitfd_pull) > /dev/null
    done
    echo "  a pull of a store of 200 layers and 100 images, from exec to the first layer's tar-split: $(median 1 first-byte |
        awk '{ printf "%.1f ms", $1 * 1000 }'), least $(sort -n "$notes/first-byte" | awk 'NR == 1 { printf "%.1f ms", $1 * 1000 }')"
}

open_disk xfs xfs 60G
mkdir -p "$notes" "$repos"
echo "$(nproc) CPUs, $(uname -r), $("$BUILD/splitfd" --version | head -n 1), cfsctl 0.9.4, medians of $runs runs"
[ $# -gt 0 ] || set -- hash start real many big gzip repull changed cold ext4 jobs scale
for work in "$@"; do
    case $work in
    hash) "$BUILD/tests/bench/hash" ;;
    real | many | big) plain "$work" ;;
    ext4) on_ext4 ;;
    gzip) gzip_layers ;;
    start | repull | changed | cold | jobs | scale) "$work" ;;
    *) die "unknown work '$work'" ;;
    esac
    rm -rf "${repos:?}"/*
done
