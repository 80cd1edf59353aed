#!/usr/bin/env bash
# GetBlob and GetRawBlob of the real and the big image: splitfd, skopeo of the newer suite, a bare
# pipe, the same reader; and `cfsctl oci pull` through both. Prints ratios, judges nothing.
#   tests/bench/proxy.sh [KIND…]     KIND: real, big, many, files-N (tests/lib/images); RUNS (default 5)
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-build/default}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
runs=${RUNS:-5}
lib=$top/tests/lib
cfsctl=$("$lib/peers" path cfsctl) && "$lib/peers" path suite > /dev/null ||
    { echo "bench/proxy: needs cfsctl and the newer suite; tests/lib/peers all" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "bench/proxy: needs root" >&2; exit 1; }
work=$(mktemp -d /var/tmp/splitfd-bench-proxy.XXXXXX)
drop() {
    awk -v d="$work/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while IFS= read -r m; do umount "$m" 2> /dev/null || umount -l "$m"; done
    rm -rf --one-file-system "$work"
}
trap drop EXIT
mkdir -p "$work/fs" "$work/ours" "$work/newer"
truncate -s 24G "$work/fs.img"
mkfs.xfs -q -m reflink=1 "$work/fs.img"
mount -o loop "$work/fs.img" "$work/fs"
ln -s "$(readlink -f "$BUILD/splitfd")" "$work/ours/skopeo"
printf '#!/bin/sh\nexec "%s" skopeo "$@"\n' "$lib/newer" > "$work/newer/skopeo"
chmod +x "$work/newer/skopeo"

pull_time() { # KIND PROGRAMS
    local start
    rm -rf "$work/fs/repo"
    "$cfsctl" --repo "$work/fs/repo" init --insecure > /dev/null
    sync -f "$work/fs"
    start=$(date +%s%N)
    PATH=$work/$2:$PATH "$cfsctl" --repo "$work/fs/repo" oci pull "$spec$1" tag > /dev/null 2>&1 || return 1
    echo $((($(date +%s%N) - start) / 1000000))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

[ $# -gt 0 ] || set -- real big
for kind in "$@"; do
    store=$work/fs/store-$kind
    mkdir -p "$store/root" "$store/run"
    "$lib/images" build "$kind" "$store" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    spec="containers-storage:[overlay@$store/root+$store/run]localhost/"
    python3 "$top/tests/bench/proxy.py" "$BUILD/tests/bench/proxy-read" "$spec$kind" "$runs" -- \
        "$work/ours/skopeo" experimental-image-proxy -- "$work/newer/skopeo" experimental-image-proxy
    for _ in $(seq "$runs"); do
        for p in ours newer; do pull_time "$kind" $p >> "$work/$kind-$p" || echo "  cfsctl failed with $p" >&2; done
    done
    a=$(median < "$work/$kind-ours") b=$(median < "$work/$kind-newer")
    echo "  cfsctl oci pull: $a ms through splitfd, $b ms through skopeo: $(awk "BEGIN { printf \"%.1f\", $b / $a }") times"
done
