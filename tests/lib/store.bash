# Stores of a test's own, for the programs of both suites. A store is a folder STORE with root/, run/.

# in_suite debian|newer PROGRAM ARGUMENT…
in_suite() {
    local suite=$1
    shift
    case $suite in
    debian) "$@" ;;
    newer) "$LIB/newer" "$@" ;;
    *) return 2 ;;
    esac
}

store_make() { # STORE
    mkdir -p "$1/root" "$1/run" "$1/tmp"
}

# suite_podman SUITE STORE [DRIVER] -- ARGUMENT…; the same for buildah.
suite_podman() {
    local suite=$1 store=$2 driver=overlay
    shift 2
    [ "$1" = -- ] || { driver=$1; shift; }
    shift
    in_suite "$suite" podman --root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" \
        --storage-driver "$driver" --cgroup-manager cgroupfs --events-backend none "$@"
}
suite_buildah() {
    local suite=$1 store=$2 driver=overlay
    shift 2
    [ "$1" = -- ] || { driver=$1; shift; }
    shift
    in_suite "$suite" buildah --root "$store/root" --runroot "$store/run" --storage-driver "$driver" "$@"
}

# The store as part of a reference: containers-storage:$(store_spec STORE DRIVER)NAME.
store_spec() { # STORE [DRIVER]
    echo "[${2:-overlay}@$1/root+$1/run]"
}

# Puts an image of an OCI layout into a store by skopeo: store_load SUITE LAYOUT:TAG STORE NAME [DRIVER].
store_load() {
    store_make "$3"
    in_suite "$1" skopeo copy --quiet --insecure-policy "oci:$2" \
        "containers-storage:$(store_spec "$3" "${5:-overlay}")$4" < /dev/null
}

# Files of the store itself.
store_layer_ids() { # STORE DIFFID [DRIVER]: the layers that have this diff_id
    jq -r --arg d "$2" '.[] | select(.["diff-digest"] == $d) | .id' "$1/root/${3:-overlay}-layers/layers.json"
}
store_image_id() { # STORE NAME [DRIVER]
    jq -r --arg n "$2" '.[] | select(.names // [] | index($n)) | .id' "$1/root/${3:-overlay}-images/images.json"
}
# The diff_ids of an image, base first, one a line.
store_diff_ids() { # STORE NAME
    local id
    id=$(store_image_id "$1" "$2")
    [ -n "$id" ] || return 1
    jq -r '.rootfs.diff_ids[]' "$1/root/overlay-images/$id/=$(printf 'sha256:%s' "$id" | base64 -w 0)"
}

# Type, mode, owner, time, size, link count, link target, device, xattr and content of all but / and
# /run. Directories have no size or link count that means something across file systems; in podman's
# mount a file's count is of the names in the store, deleted ones too, so the names are counted.
tree_of() { # DIR
    (
        cd "$1" || exit 1
        find . -mindepth 1 -path ./run -prune -o -type d -printf '%P d %m %U %G %T@\n' \
            -o -printf '%P %y %m %U %G %T@ %s %l\n'
        find . -mindepth 1 -path ./run -prune -o \( -type b -o -type c \) -exec stat -c '%n %t,%T' {} +
        find . -mindepth 1 -path ./run -prune -o -type f -print0 | xargs -0 sha256sum
        find . -mindepth 1 -path ./run -prune -o ! -type d -printf '%i %P\n' | LC_ALL=C sort -k1,1n -k2 |
            awk '{ i = $1; sub(/^[0-9]+ /, ""); if (i != last) n++; last = i; print n, $0 }' |
            awk '{ i = $1; sub(/^[0-9]+ /, ""); names[i] = names[i] "|" $0; count[i]++ }
                END { for (i in names) if (count[i] > 1) print "linked", names[i] }'
        getfattr -R -P -h -d -e hex -m '^security\.capability$' . 2> /dev/null | sed '/^$/d'
    ) | LC_ALL=C sort
}
