#!/usr/bin/env bash
# GetBlob and GetRawBlob of the real and the big image: splitfd, skopeo of the newer suite, a bare
# pipe, the same reader; and `cfsctl oci pull` through both. Prints ratios, judges nothing.
#   tests/bench/proxy.sh [KIND…]     KIND: real, big (both by default), many, files-N (tests/lib/images)
# Warm cache, XFS on a loop file, alternating runs, medians. The images are those of tests/bench/pull.sh
# and stay for the next bench; RUNS (5), BENCH_DIR and `clean` as there.
set -eu
cd "${BASH_SOURCE[0]%/*}/../.."
. tests/lib/common.bash
. tests/lib/store.bash
. tests/bench/pull-lib.bash
tests/lib/peers path suite > /dev/null || die "needs the newer suite; tests/lib/peers suite makes it"
[ -x "$BUILD/tests/bench/proxy-read" ] || die "proxy-read is missing; make test-programs"

# Programs named skopeo, for PATH.
programs=$notes/programs
make_programs() {
    rm -rf "$programs"
    mkdir -p "$programs/splitfd" "$programs/skopeo"
    ln -s "$(readlink -f "$BUILD/splitfd")" "$programs/splitfd/skopeo"
    printf '#!/bin/sh\nexec "%s" skopeo "$@"\n' "$PWD/tests/lib/newer" > "$programs/skopeo/skopeo"
    chmod +x "$programs/skopeo/skopeo"
}
by() { PATH=$programs/$1:$PATH "$measure" "$note" "$CFSCTL" --repo "$repo" oci pull "$spec$kind" tag > /dev/null 2>&1; }
by_splitfd() { by splitfd; }
by_skopeo() { by skopeo; }

open_disk xfs xfs 60G
mkdir -p "$notes" "$repos"
make_programs
spec="containers-storage:[overlay@$store/root+$store/run]localhost/"
echo "$(nproc) CPUs, $(uname -r), $("$BUILD/splitfd" --version | head -n 1), $("$programs/skopeo/skopeo" --version), cfsctl 0.9.4, medians of $runs runs"
[ $# -gt 0 ] || set -- real big
for kind in "$@"; do
    have_image "$kind"
    warm
    python3 tests/bench/proxy.py "$BUILD/tests/bench/proxy-read" "$spec$kind" "$runs" -- \
        "$programs/splitfd/skopeo" experimental-image-proxy -- "$programs/skopeo/skopeo" experimental-image-proxy
    compare "$kind: cfsctl oci pull by way of" fresh_theirs splitfd=by_splitfd skopeo=by_skopeo
    rm -rf "${repos:?}"/*
done
