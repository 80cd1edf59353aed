#!/usr/bin/env bash
# The streams against what there is: `get-layer --format=tar` to a reader that only reads, beside a bare
# pipe of the same bytes, `skopeo copy … dir:` and `podman save`; `get-layer | import-layer` beside
# `pull`. Prints ratios, judges nothing. SPLITFD_BENCH_IMAGE is a kind of tests/lib/images (default real).
. "${BASH_SOURCE[0]%/*}/../lib/common.bash"
. "$LIB/store.bash"
. "$LIB/repo.bash"
[ "$(id -u)" -eq 0 ] || { echo "stream: needs root" >&2; exit 1; }
kind=${SPLITFD_BENCH_IMAGE:-real}
scratch_make
trap scratch_drop EXIT
fs_make xfs "$SCRATCH/x" 24G
store=$SCRATCH/x/store
store_make "$store"
"$LIB/images" build "$kind" "$store" > /dev/null
image=localhost/$kind
from=(--root "$store/root" --runroot "$store/run" --storage-driver overlay "$image")

# The best of three, in ms.
best() {
    local i start ms best=
    for i in 1 2 3; do
        start=$(date +%s%N)
        "$@" > /dev/null 2>&1 || { echo "stream: failed: $*" >&2; exit 1; }
        ms=$((($(date +%s%N) - start) / 1000000))
        [ -n "$best" ] && [ "$best" -le "$ms" ] || best=$ms
    done
    echo "${best:-0}"
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }

layers=$(store_diff_ids "$store" "$image:latest")
tars() { for d in $layers; do splitfd get-layer --format=tar "$@" "${from[@]}" "$d" | cat > /dev/null || return 1; done; }
for d in $layers; do splitfd get-layer --format=tar "${from[@]}" "$d"; done > "$SCRATCH/x/bytes"
pipe() { cat "$SCRATCH/x/bytes" | cat > /dev/null; }
to_dir() { rm -rf "$SCRATCH/x/dir"; skopeo copy -q --insecure-policy "containers-storage:$(store_spec "$store")$image" "dir:$SCRATCH/x/dir"; }
save() { suite_podman debian "$store" -- save "$image" | cat > /dev/null; }
by_wire() {
    local d
    rm -rf "$SCRATCH/x/r"
    repo_init "$SCRATCH/x/r"
    for d in $layers; do
        "$LIB/wire-pipe.py" "$BUILD/splitfd" get-layer --fds=@FDS@ "${from[@]}" "$d" -- \
            "$BUILD/splitfd" import-layer --repo "$SCRATCH/x/r" --fds=@FDS@ "$d" || return 1
    done
}
by_pull() {
    rm -rf "$SCRATCH/x/r"
    repo_init "$SCRATCH/x/r"
    splitfd pull --no-image --verify-diffid --repo "$SCRATCH/x/r" "${from[@]}"
}

bare=$(best pipe)
echo "image $kind: $(stat -c %s "$SCRATCH/x/bytes") bytes of tar; a bare pipe: $bare ms"
for row in "get-layer_--format=tar tars" "get-layer_--format=tar_--no-verify tars --no-verify" \
    "skopeo_copy_dir to_dir" "podman_save save"; do
    ms=$(best ${row#* })
    echo "${row%% *}: $ms ms, $(ratio "$ms" "$bare") of a bare pipe" | tr _ ' '
done
pull=$(best by_pull) wire=$(best by_wire)
echo "pull --verify-diffid: $pull ms; get-layer | import-layer: $wire ms, $(ratio "$wire" "$pull") of pull"

# The first byte of a layer, from a store of 200 layers; the best of 30.
"$LIB/many-layers.py" "$SCRATCH/x/layout" 200
store_load debian "$SCRATCH/x/layout:t" "$SCRATCH/x/deep" localhost/deep
python3 - "$BUILD/splitfd" "$SCRATCH/x/deep" << 'END'
import subprocess, sys, time
best = 1e9
for _ in range(30):
    start = time.monotonic()
    p = subprocess.Popen([sys.argv[1], "get-layer", "--root", sys.argv[2] + "/root", "--runroot", sys.argv[2] + "/run",
                          "--format=tar", "localhost/deep", "199"], stdout=subprocess.PIPE)
    p.stdout.read(1)
    best = min(best, time.monotonic() - start)
    p.stdout.read()
    if p.wait() != 0:
        sys.exit(1)
print("get-layer on a store of 200 layers: the first byte after %.1f ms" % (best * 1e3))
END
