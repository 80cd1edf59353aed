#!/usr/bin/env bats
# The tars that Go's archive/tar, tar-split, libarchive, Python, go-containerregistry, container-libs and stereoscope
# are tested with, each as a layer above a small base: podman's mounted tree beside ours, entry by entry.

load ../lib/common
load ../lib/store
load ../lib/repo

# What podman 4.3 makes of a tar where it is not just taken by both, or refused by both (then it is in no row).
#   ours    podman refuses it, splitfd stores the layer, exactly
#   theirs  podman takes it, splitfd refuses it
#   two     podman and cfsctl make two trees of it: no image without --tree
#   id      podman's tree, of another id than cfsctl's, which cannot be mounted
#   map     a sparse file whose map podman's store does not keep: not from there
exceptions='
ours   go-gnu-incremental                                  types D and M of incremental archives
ours   go-gnu-nil-sparse-data                              sparse files in the old form
ours   go-gnu-nil-sparse-hole                              sparse files in the old form
ours   go-sparse-formats                                   sparse files in the old form
ours   libarchive-test-read-format-gtar-sparse-1-13        sparse files in the old form
ours   libarchive-test-read-format-gtar-sparse-1-17        sparse files in the old form
ours   go-hdr-only                                         the same name twice
ours   python-recursion                                    the padding behind the last entry is missing
ours   go-issue11169                                       the padding behind the last entry is missing
ours   go-pax-nul-xattrs                                   a NUL in the name of an xattr
ours   libarchive-test-acl-pax-nfs4                        the same name twice
ours   libarchive-test-acl-pax-posix1e                     the same name twice
ours   libarchive-test-compat-solaris-tar-acl              type A, access lists of Solaris
ours   libarchive-test-read-format-tar-empty-with-gnulabel type V, the name of a volume
ours   libarchive-test-pax-filename-encoding               the same name twice
map    go-pax-nil-sparse-data                              sparse file of format 1.0
map    go-pax-nil-sparse-hole                              sparse file of format 1.0
map    libarchive-test-read-format-gtar-sparse-1-17-posix10 sparse file of format 1.0
id     go-gnu-long-nul                                     a NUL in a long name, which cfsctl has in the name
theirs go-gnu-sparse-many-zeros                            a map of 40 MB, which archive/tar refuses since Go 1.24.8
two    go-invalid-go17                                     prefix in a header with the GNU magic
two    storage-broken                                      prefix in a header with the GNU magic
two    libarchive-test-compat-tar-directory-1              a name with a slash, of the type of a file
'

setup_file() {
    require_interop || return 0
    require_program go apt-get dpkg-deb zstd || return 0
    scratch_make
    export STORE=$SCRATCH/store CASES=$SCRATCH/cases
    store_make "$STORE"
    local tars case name dir
    tars=$("$LIB/real-tars")
    python3 "$LIB/real-tars.py" "$tars" "$CASES" > "$SCRATCH/list"
    while read -r case; do
        ! store_load debian "$CASES/$case" "$STORE" "localhost/$case:latest" 2> "$SCRATCH/refusal" || echo "$case"
    done < "$SCRATCH/list" > "$SCRATCH/taken"
    suite_podman debian "$STORE" -- image mount $(sed 's,^,localhost/,' "$SCRATCH/taken") < /dev/null > /dev/null
    mkdir "$SCRATCH/podman"
    suite_podman debian "$STORE" -- image mount --format json | jq -r '.[] | .Repositories[0] + " " + .mountpoint' |
        while read -r name dir; do
            name=${name#localhost/}
            python3 "$LIB/tree-list.py" "$dir" > "$SCRATCH/podman/${name%:latest}"
        done
    suite_podman debian "$STORE" -- image umount --all > /dev/null
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    repo=$BATS_TEST_TMPDIR/repo
    repo_init "$repo"
}

row() { awk -v c="$1" '$2 == c { print $1 }' <<< "$exceptions"; } # CASE: its kind
takes() { grep -qx "$1" "$SCRATCH/taken"; }
assert_podmans_tree() { # CASE TAG
    local got dir=$SCRATCH/mnt
    mkdir -p "$dir"
    splitfd mount --repo "$repo" "$2" "$dir" || return 1
    got=$(python3 "$LIB/tree-list.py" "$dir") || return 1
    umount "$dir" || return 1
    [ -n "$got" ] && assert_same "$(cat "$SCRATCH/podman/$1")" "$got"
}
# The image has podman's tree, also where that is to be asked for.
judge() { # CASE TAG SOURCE…
    local case=$1 tag=$2 id
    shift 2
    SPLITFD_STDERR_OK=1 run_splitfd 0 pull --quiet --repo "$repo" "$@" "$tag" || return 1
    if [ "$(row "$case")" = two ]; then
        assert_match 'no mountable image was made' "$errors" || return 1
        SPLITFD_STDERR_OK=1 run_splitfd 0 pull --quiet --tree=podman --repo "$repo" "$@" "$tag" || return 1
    elif [ "$(row "$case")" != id ] && id=$(cfs "$repo" oci compute-id "$tag" 2> /dev/null); then
        assert_match "image    $id" "$output" || return 1
    fi
    assert_podmans_tree "$case" "$tag"
}

@test "a tar is taken by podman and splitfd, or refused by both, or in the table" {
    local case got known=
    [ "$(wc -l < "$SCRATCH/list")" -ge 100 ]
    [ "$(wc -l < "$SCRATCH/taken")" -ge 60 ]
    while read -r case; do
        got=0
        splitfd pull --quiet --insecure-policy --repo "$repo" "oci:$CASES/$case" "$case" > /dev/null 2> "$SCRATCH/errors" || got=$?
        case $got:$(takes "$case" && echo taken):$(row "$case") in
        0:taken: | 0:taken:two | 0:taken:map | 0:taken:id | 0::ours | 4:: | 4:taken:theirs) ;;
        *) echo "$case: $got, podman: $(takes "$case" || echo not) taken, table: $(row "$case")" && cat "$SCRATCH/errors" && return 1 ;;
        esac
        [ $got -ne 0 ] || known="$known $case"
    done < "$SCRATCH/list"
    for case in $known; do assert_layers_exact "$repo" "$case"; done
    assert_fsck_clean "$repo"
    run_splitfd 0 fsck --repo "$repo"
    # No row is left over.
    while read -r _ case _; do [ -z "$case" ] || grep -qx "$case" "$SCRATCH/list"; done <<< "$exceptions"
}

@test "podman's tree, from a layout and from its store" {
    local case n=0 from_store=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay)
    repo_init "$repo.stored"
    while read -r case; do
        [ "$(row "$case")" != theirs ] || continue
        echo "# $case"
        judge "$case" "$case" --insecure-policy "oci:$CASES/$case"
        # In a repository that has not got the layer.
        repo=$repo.stored
        if [ "$(row "$case")" = map ]; then
            run_splitfd 4 pull --repo "$repo" "${from_store[@]}" "localhost/$case"
            assert_match 'sparse file of format 1.0, whose map the store does not keep' "$errors"
        else
            judge "$case" "$case" "${from_store[@]}" "localhost/$case"
        fi
        repo=${repo%.stored}
        n=$((n + 1))
    done < "$SCRATCH/taken"
    [ $n -ge 60 ]
    assert_fsck_clean "$repo"
    assert_fsck_clean "$repo.stored"
}

@test "sparse maps: the reason is the map" {
    run_splitfd 4 pull --repo "$repo" --insecure-policy "oci:$CASES/go-gnu-sparse-many-zeros" x
    assert_match "map in front of a sparse file's content is longer than 1 MiB" "$errors"
    store_pull 4 "$repo" "$STORE" localhost/go-gnu-sparse-many-zeros x
    assert_match 'sparse file of format 1.0, whose map the store does not keep' "$errors"
}
