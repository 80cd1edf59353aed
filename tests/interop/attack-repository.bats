#!/usr/bin/env bats
# A repository that belongs to another user, who has put symbolic links in the place of its directories:
# root neither reads, nor writes, nor removes anything outside of it, and is told which link it is.
load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/varlink

setup_file() {
    require_root && require_program skopeo python3 || return 0
    scratch_make
    export STORE=$SCRATCH/store WHOLE=$SCRATCH/whole OUT=$SCRATCH/out repo=$SCRATCH/repo
    local n
    for n in one two; do
        mkdir -p "$SCRATCH/$n/usr"
        (cd "$SCRATCH/$n/usr" && seq -f "$n %0100.0f" 20 | split -a 4 -l 1 -)
        tar -C "$SCRATCH/$n" --sort=name --owner=0 --group=0 --numeric-owner -cf "$SCRATCH/$n.tar" usr
        python3 "$LIB/make-layout.py" "$SCRATCH/oci" $n "plain:$SCRATCH/$n.tar" > /dev/null
        store_load debian "$SCRATCH/oci:$n" "$STORE" localhost/$n
    done
    repo_init "$WHOLE"
    store_pull 0 "$WHOLE" "$STORE" localhost/one one -- --verify-diffid
    export DIFF_ID=sha256:$(sha256sum < "$SCRATCH/one.tar" | cut -d' ' -f1)
    local object=$(readlink "$WHOLE/streams/oci-layer-$DIFF_ID")
    export OBJECT=${object#../} AB=${object:3:10}
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    pids=()
    S=$SCRATCH/s$BATS_TEST_NUMBER
}
teardown() { stop_services; }

# Another user's repository, with a symbolic link at PATH to what was there, or to an empty directory.
attack() { # PATH [empty]
    place=$1
    rm -rf "$repo" "$OUT"
    cp -a "$WHOLE" "$repo"
    mkdir -p "$OUT" "$repo/$place"
    mv -T "$repo/$place" "$OUT/dir"
    [ $# -eq 1 ] || { rm -r "$OUT/dir" && mkdir "$OUT/dir"; }
    echo root > "$OUT/dir/victim"
    ln -s "$OUT/dir" "$repo/$place"
    chown -hR 12345:12345 "$repo"
    before=$(outside)
}
outside() {
    find "$OUT" -printf '%P %y %m %U %n %s %l %T@ %C@\n' | LC_ALL=C sort
    find "$OUT" -type f -exec sha256sum {} + | LC_ALL=C sort
}
# The command fails, or not, and nothing outside has changed.
harmless() { # CODE ARGUMENT…
    SPLITFD_STDERR_OK=1 run_splitfd "$@" && assert_same "$before" "$(outside)"
}
refused() { # ARGUMENT…
    harmless 4 "$@"
    assert_same 1 "$(wc -l <<< "$errors")"
    assert_match "$repo/$place is a symbolic link, and none is followed within a repository" "$errors"
}
pull() { # COMMAND IMAGE NAME [OPTION…]
    local how=$1 image=$2 name=$3
    shift 3
    $how pull --no-sandbox --repo "$repo" --root "$STORE/root" --runroot "$STORE/run" \
        --storage-driver overlay "$@" "localhost/$image" "$name"
}

@test "reading: images, layers, names, file trees" {
    local place
    for place in objects streams streams/refs streams/refs/oci "$AB"; do
        attack "$place"
        refused dump --repo "$repo" one
        refused compute-id --repo "$repo" one
        if [ "$place" = "$AB" ]; then
            harmless 1 get-layer --no-sandbox --format tar --repo "$repo" composefs:one 0
            assert_match "'splitfd fsck' shows why" "$errors"
            continue
        fi
        refused get-layer --no-sandbox --format tar --repo "$repo" composefs:one 0
        refused inspect --repo "$repo" one
        refused images --repo "$repo"
    done
}

@test "a pull writes neither objects nor names outside" {
    local place
    for place in objects streams streams/refs streams/refs/oci "$AB" images; do
        attack "$place"
        [ "$place" = "$AB" ] || pull refused two two
        pull refused one again --verify-diffid
        attack "$place" empty
        pull refused one again
    done
    attack splitfd-proven
    pull "harmless 0" two two --verify-diffid
    attack splitfd-proven empty
    pull "harmless 0" one again --verify-diffid
}

@test "a layer from standard input is not stored outside" {
    local diff_id=sha256:$(sha256sum < "$SCRATCH/two.tar" | cut -d' ' -f1) place
    splitfd get-layer --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay --inline-max 1000000 localhost/two 0 > "$SCRATCH/stream"
    for place in objects streams; do
        attack "$place" empty
        run "$BUILD/splitfd" import-layer --no-sandbox --repo "$repo" "$diff_id" < "$SCRATCH/stream"
        [ "$status" -eq 4 ]
        assert_match "$repo/$place is a symbolic link" "$output"
        assert_same "$before" "$(outside)"
    done
}

@test "fsck finds the links and follows none; --repair removes nothing outside" {
    for place in streams streams/refs streams/refs/oci "$AB" images; do
        attack "$place"
        harmless '1|4' fsck --repo "$repo"
        assert_match "$place(: SymbolicLink|: behind a symbolic link| is a symbolic link)" "$output$errors"
        # Damaged objects, outside and inside: the first has to stay.
        attack "$place"
        printf damage | tee "$OUT/dir/${OBJECT##*/}" >> "$repo/$OBJECT" || true
        before=$(outside)
        harmless '1|4' fsck --repair --repo "$repo" --root "$STORE/root" --runroot "$STORE/run" \
            --storage-driver overlay localhost/one
    done
    # A name of a stream that leads out, and one to a name that does.
    attack images
    rm "$repo/images"
    cp "$repo/$OBJECT" "$OUT/dir/stream"
    ln -s "$OUT/dir/stream" "$repo/streams/absolute"
    ln -s ../../out/dir/stream "$repo/streams/relative"
    ln -s ../../relative "$repo/streams/refs/oci/out"
    before=$(outside)
    harmless 1 fsck --repo "$repo"
    local name
    for name in absolute relative; do
        assert_match "stream-open-failed: streams/$name: outside of the repository" "$errors$output"
    done
    assert_match "stat-failed: streams/refs/oci/out: outside of the repository" "$errors$output"
}

# Calls METHOD of the service, with the handle of the repository, and prints the reply.
call() { # METHOD JSON
    python3 - "$S" "org.composefs.Oci.$1" "$2" "$repo" << 'PY'
import json, os, sys
sys.path.insert(0, os.environ["LIB"])
from varlink_client import Connection
c = Connection(sys.argv[1])
print(c.call(sys.argv[2], {"handle": c.open(sys.argv[4]), **json.loads(sys.argv[3])})[0])
PY
}

@test "the service: tags are neither made nor removed outside, and layers neither taken nor given" {
    local manifest reply
    manifest=$(splitfd images --json --repo "$WHOLE" | python3 -c 'import json, sys; print(json.load(sys.stdin)["images"][0]["manifest_digest"])')
    for place in streams streams/refs streams/refs/oci; do
        attack "$place"
        mkdir -p "$OUT/dir/refs/oci" "$OUT/dir/oci"
        ln -s x "$OUT/dir/refs/oci/victim"
        ln -s x "$OUT/dir/oci/victim"
        before=$(outside)
        serve "$S" --no-sandbox --repo "$repo"
        reply=$(call Untag '{"name": "victim"}')
        assert_match "$repo/$place is a symbolic link" "$reply"
        assert_same "$before" "$(outside)"
        reply=$(call Tag '{"name": "new", "manifest_digest": "'"$manifest"'"}')
        assert_match "$repo/$place is a symbolic link" "$reply"
        for reply in "$(call ListImages '{}')" "$(call Inspect '{"image": "one"}')"; do
            assert_match "$repo/$place is a symbolic link" "$reply"
        done
        assert_same "$before" "$(outside)"
        stop_services
        rm -f "$S"
    done
    for place in streams "$AB"; do
        attack "$place" empty
        serve "$S" --no-sandbox --repo "$repo"
        harmless '1|4' push --root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay --repo "$repo" --to "$S" localhost/one again
        assert_match "$repo/$place is a symbolic link" "$errors"
        assert_same "$before" "$(outside)"
        stop_services
        rm -f "$S"
    done
}

@test "links of the kernel's own kind are no way out either, and the repository without links still works" {
    attack streams/refs/oci
    rm "$repo/streams/refs/oci"
    ln -s "/proc/self/root$OUT/dir" "$repo/streams/refs/oci"
    pull refused two two
    rm "$repo/streams/refs/oci"
    cp -a "$WHOLE/streams/refs/oci" "$repo/streams/refs/oci"
    pull "harmless 0" two two
    run_splitfd 0 inspect --repo "$repo" two
    run_splitfd 0 fsck --repo "$repo"
}
