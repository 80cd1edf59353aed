# Digests of dumpfiles, ours and those of cfsctl mkcomposefs.
# shellcheck shell=bash

dump_digest() { "$BUILD/tests/lib/dump-digest" "$@"; }

# mkcomposefs_same OPTIONS FORMAT FILE…: cfsctl's and our digest of each dumpfile.
mkcomposefs_same() {
    local options=$1 format=$2 f
    shift 2
    for f in "$@"; do
        "$CFSCTL" mkcomposefs --from-file $options --print-digest-only "$f" || return 1
    done > "$SCRATCH/theirs"
    dump_digest -f "$format" "$@" > "$SCRATCH/ours" || return 1
    if ! cmp -s "$SCRATCH/theirs" "$SCRATCH/ours"; then
        paste "$SCRATCH/theirs" "$SCRATCH/ours" | awk '$1 != $2 { print NR ": " $0 }' | head
        return 1
    fi
}
