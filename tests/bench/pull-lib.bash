# The tools of tests/bench/pull.sh: disks, images, the commands that are compared, alternating runs.

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
[ -x "$floor" ] || die "$floor is missing; make test-programs"
command -v strace > /dev/null || die "needs strace"

# One bench at a time: they share disks, and each would measure the other.
mkdir -p "$dir"
exec {bench_lock}> "$dir/.lock"
flock -n "$bench_lock" || die "another bench is running"

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
splitfd_pull() { echo "$BUILD/splitfd" pull --quiet --repo "$repo" --root "$store/root" --runroot "$store/run" \
    --storage-driver overlay "localhost/$kind" "$kind"; }
cfsctl_pull() { echo env CONTAINERS_STORAGE_ROOT="$store/root" "$CFSCTL" --repo "$repo" oci pull --local-fetch=auto \
    "containers-storage:localhost/$kind" "$kind"; }
ours() { "$measure" "$note" $(splitfd_pull) "$@" > /dev/null; }
theirs() { "$measure" "$note" $(cfsctl_pull) > /dev/null; }
bare() { "$measure" "$note" "$floor" "$(cat "$notes/$kind.trees")" "$repo/objects" > /dev/null; }

new_repo() { # COMMAND…
    rm -rf "$repos"/*
    repo=$repos/r$RANDOM
    mkdir -p "$repos"
    "$@" > /dev/null
    sync -f "$repos"
}
fresh() {
    new_repo true
    "$BUILD/splitfd" init --insecure --repo "$repo" > /dev/null
}
fresh_theirs() {
    new_repo true
    "$CFSCTL" --repo "$repo" init --insecure > /dev/null
}
# Reads every file of the image's layers, so that all begin warm.
warm() { # [KIND]
    local d id
    for d in $(store_diff_ids "$store" "localhost/${1:-$kind}:latest"); do
        for id in $(store_layer_ids "$store" "$d"); do
            find "$store/root/overlay/$id/diff" -type f -print0 | xargs -0 -r cat > /dev/null
        done
    done
}

# compare TITLE PREPARE NAME=COMMAND…: alternating runs. PREPARE makes $repo before each; $row is the
# name of the one that follows.
compare() {
    local title=$1 prepare=$2 n pair rows=()
    shift 2
    for pair in "$@"; do
        : > "$notes/${pair%%=*}"
        rows+=("${pair%%=*}=$notes/${pair%%=*}")
    done
    for n in $(seq 1 "$runs"); do
        for pair in "$@"; do
            row=${pair%%=*}
            $prepare
            note=$notes/$row
            ${pair#*=} || die "$title: '${pair#*=}' failed"
        done
    done
    python3 tests/bench/table.py "$title" "${rows[@]}"
}
median() { # COLUMN NAME
    sort -n -k "$1" "$notes/$2" | awk -v c="$1" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
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

# The system calls of a pull into the empty $repo, by strace.
count_calls() { # NAME COMMAND-PRINTER
    strace -f -c -qq -U calls,name -S calls -o "$notes/calls" $($2) > /dev/null || return 0
    awk -v name="$1" -v n="$(find "$repo/objects" -type f | wc -l)" '$1 ~ /^[0-9]+$/ {
        if ($2 == "total") total = $1; else if (++k <= 14) each = each sprintf("%s %d, ", $2, $1)
    } END { printf "  system calls of %s for each of %d objects: %.1f (%s...)\n", name, n, total / n, each }' "$notes/calls"
}
