#!/usr/bin/env bats
# Into a running `cfsctl varlink` and out of it: what cfsctl says of the result, and what becomes of
# services that misbehave.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/slow

setup_file() {
    require_interop && require_program setpriv || return 0
    scratch_make
    SMALL=$("$LIB/images" small)
    export SMALL ORACLE=$SCRATCH/oracle X=$SCRATCH/x
    "$CFSCTL" --repo "$ORACLE" init --insecure > /dev/null
    "$CFSCTL" --repo "$ORACLE" oci pull "oci:$SMALL" small > /dev/null
    fs_make xfs "$X" 2G
    store_load debian "$SMALL" "$X/store" localhost/small
    # On the scratch file system, which shares no extents, without podman's mount on top.
    store_load debian "$SMALL" "$SCRATCH/plain" localhost/small
    unmount_below "$SCRATCH/plain"
    service_start "$SCRATCH/socket"
    export SERVICE_PID=$service SOCKET=$SCRATCH/socket
}
teardown_file() {
    [ -z "${SERVICE_PID:-}" ] || kill "$SERVICE_PID"
    scratch_drop
}
teardown() { slow_kill; }

# service_start SOCKET [PROGRAM…]: cfsctl's service, by PROGRAM where given; its process in $service.
service_start() {
    local socket=$1 n
    shift
    (exec "$@" "$CFSCTL" --insecure varlink --address "$socket") > /dev/null 2>&1 < /dev/null 3>&- &
    service=$!
    for n in $(seq 200); do [ ! -S "$socket" ] || return 0; sleep 0.05; done
    return 1
}

# A fresh repository: fresh FOLDER [OPTION…].
fresh() {
    repo=$1/r$BATS_TEST_NUMBER
    shift
    rm -rf "$repo"
    repo_init "$repo" "$@"
}

push() { # CODE STORE IMAGE [OPTION…] [NAME]
    local code=$1 store=$2
    shift 2
    run_splitfd "$code" push --to "${socket:-$SOCKET}" --repo "$repo" --root "$store/root" --runroot "$store/run" "$@"
}
line() { grep "^$1 " <<< "$output"; }

# The repository as cfsctl's own pull of the image makes it.
assert_as_oracle() { # TAG
    assert_fsck_clean "$repo" && assert_layers_exact "$repo" "$1" &&
        assert_same_streams exact "$repo" "$1" "$ORACLE" &&
        assert_same "$(cfs "$ORACLE" oci compute-id small)" "$(cfs "$repo" oci compute-id "$1")" &&
        assert_same "$(cfs "$ORACLE" oci inspect small --manifest)" "$(cfs "$repo" oci inspect "$1" --manifest)"
}
assert_no_links() { assert_silent find "$1/objects" -type f -links +1; }

# bats test_tags=asan, tsan
@test "XFS: the streams, config and image of cfsctl's own pull, every extent shared; again: nothing moves" {
    fresh "$X"
    push 0 "$X/store" localhost/small --zerocopy small
    assert_match '^layers   3 sent \+ 0 already present; ' "$(line layers)"
    # One name of the image is not UTF-8, so that cfsctl cannot open it.
    assert_match '^objects  [0-9]{4} reflinked \+ 0 hard-linked \+ 1 copied ' "$(line objects)"
    assert_as_oracle small
    assert_no_links "$repo"
    local names base
    base=$(tag_diff_ids "$repo" small | head -n 1)
    cfs "$repo" oci layer "$base" --dumpfile > "$BATS_TEST_TMPDIR/dump"
    python3 "$LIB/dumpfile-objects.py" "$repo/objects" \
        "$X/store/root/overlay/$(store_layer_ids "$X/store" "$base")/diff" \
        "$BATS_TEST_TMPDIR/dump" > "$BATS_TEST_TMPDIR/pairs"
    [ "$(tr -cd '\0' < "$BATS_TEST_TMPDIR/pairs" | wc -c)" -gt 1000 ]
    "$BUILD/tests/lib/fiemap" < "$BATS_TEST_TMPDIR/pairs"
    names=$(repo_names "$repo")
    push 0 "$X/store" localhost/small small
    assert_same 'layers   0 sent + 3 already present; 0 B, of which 0 B streamed' "$(line layers)"
    assert_same "$names" "$(repo_names "$repo")"
    # The service has let go of the repository: gc waits for nobody.
    GARBAGE_OK=1
    assert_cfsctl_accepts "$repo" small
}

@test "no shared extents: the store's files are copied, never linked or changed" {
    fresh "$SCRATCH"
    local before
    before=$(find "$SCRATCH/plain/root/overlay" -printf '%p %i %n %m %s %C@\n' | sort | sha256sum)
    push 0 "$SCRATCH/plain" localhost/small small
    assert_match ' 0 reflinked \+ 0 hard-linked \+ [0-9]{4} copied ' "$(line objects)"
    assert_match 'of which [12]\.[0-9]* MiB streamed' "$(line layers)"
    assert_as_oracle small
    assert_no_links "$repo"
    unmount_below "$SCRATCH/plain"
    assert_same "$before" "$(find "$SCRATCH/plain/root/overlay" -printf '%p %i %n %m %s %C@\n' | sort | sha256sum)"
    # Objects of a repository may be linked: this service does, where it gets the folder itself.
    local first=$repo
    repo=$SCRATCH/second
    repo_init "$repo"
    run_splitfd 0 push --to "$SOCKET" --repo "$repo" --from-repo "$first" --zerocopy composefs:small small
    assert_match ' 0 reflinked \+ [0-9]{4} hard-linked \+ 0 copied ' "$(line objects)"
    assert_as_oracle small
    rm -rf "$first" "$repo"
}

# vfs_store STORE: small by skopeo, and upon it podman's commit of a container in which a file was changed,
# one was taken away, and one came that only root may read.
vfs_store() {
    local container root
    store_load debian "$SMALL" "$1" localhost/small vfs
    container=$(suite_podman debian "$1" vfs -- create --pull never localhost/small /bin/true)
    root=$(suite_podman debian "$1" vfs -- mount "$container")
    echo changed > "$root/etc/passwd"
    rm "$root/etc/debian_version"
    head -c 100000 /dev/urandom > "$root/etc/private"
    chmod 600 "$root/etc/private"
    suite_podman debian "$1" vfs -- commit --quiet "$container" localhost/changed > /dev/null
    suite_podman debian "$1" vfs -- rm "$container" > /dev/null
}
files_of() { find "$1/root/vfs/dir" -printf '%p %i %n %m %s %C@\n' | sort | sha256sum; }

# push_vfs STORE HOW: small, then changed, of which one layer is new; both as a pull makes them.
push_vfs() {
    local store=$1 how=$2 before pulled=$repo.pulled name
    before=$(files_of "$store")
    repo_init "$pulled"
    push 0 "$store" --storage-driver vfs localhost/small small
    assert_match "$how" "$(line objects)"
    push 0 "$store" --storage-driver vfs localhost/changed changed
    assert_match '^layers   1 sent \+ 3 already present; ' "$(line layers)"
    for name in small changed; do
        driver=vfs store_pull 0 "$pulled" "$store" "localhost/$name" "$name"
        assert_same_streams content "$repo" "$name" "$pulled"
        assert_same "$(cfs "$pulled" oci inspect "$name" --manifest)" "$(cfs "$repo" oci inspect "$name" --manifest)"
    done
    assert_same "$(ls "$pulled/images")" "$(ls "$repo/images")"
    assert_as_oracle small
    assert_layers_exact "$repo" changed
    assert_no_links "$repo"
    assert_same "$before" "$(files_of "$store")"
    rm -rf "$pulled"
}

@test "a vfs store, on XFS: as by a pull, every extent shared" {
    fresh "$X"
    local store=$X/vfs base
    vfs_store "$store"
    push_vfs "$store" '^objects  [0-9]{4} reflinked \+ 0 hard-linked \+ 1 copied '
    base=$(tag_diff_ids "$repo" small | head -n 1)
    cfs "$repo" oci layer "$base" --dumpfile > "$BATS_TEST_TMPDIR/dump"
    python3 "$LIB/dumpfile-objects.py" "$repo/objects" \
        "$store/root/vfs/dir/$(store_layer_ids "$store" "$base" vfs)" "$BATS_TEST_TMPDIR/dump" > "$BATS_TEST_TMPDIR/pairs"
    [ "$(tr -cd '\0' < "$BATS_TEST_TMPDIR/pairs" | wc -c)" -gt 1000 ]
    "$BUILD/tests/lib/fiemap" < "$BATS_TEST_TMPDIR/pairs"
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo" changed
}

@test "a vfs store that shares no extents: copied, and the store stays as it was" {
    fresh "$SCRATCH"
    vfs_store "$SCRATCH/vfs"
    push_vfs "$SCRATCH/vfs" ' 0 reflinked \+ 0 hard-linked \+ [0-9]{4} copied '
    unmount_below "$SCRATCH/vfs"
    rm -rf "$SCRATCH/vfs" "$repo"
}

@test "without the right to mount: by name where files are cloned, else through the pipe" {
    SPLITFD_RUN="setpriv --bounding-set -sys_admin --inh-caps -sys_admin"
    fresh "$X"
    push 0 "$X/store" localhost/small small
    assert_match 'of which [12]\.[0-9]* MiB streamed' "$(line layers)"
    fresh "$SCRATCH"
    push 0 "$SCRATCH/plain" localhost/small small
    assert_match 'of which 6[0-9]\.[0-9]* MiB streamed' "$(line layers)"
    assert_as_oracle small
    assert_no_links "$repo"
    rm -rf "$repo"
    fresh "$SCRATCH"
    push 1 "$SCRATCH/plain" localhost/small --zerocopy small
    assert_match '--zerocopy' "$errors"
    assert_nothing_visible "$repo"
}

@test "a service of another user, who cannot open the store's files" {
    local folder=$X/nobody socket
    mkdir -p "$folder" && chown 65534:65534 "$folder" && chmod 711 "$SCRATCH"
    repo=$folder/repo socket=$folder/socket
    SPLITFD_RUN="setpriv --reuid 65534 --regid 65534 --clear-groups" splitfd init --insecure --repo "$repo" > /dev/null
    service_start "$socket" setpriv --reuid 65534 --regid 65534 --clear-groups
    push 0 "$X/store" localhost/small small || { kill "$service"; return 1; }
    kill "$service"
    assert_match 'of which 6[0-9]\.[0-9]* MiB streamed' "$(line layers)"
    assert_as_oracle small
}

@test "a layer that is there keeps its stream, whoever made it" {
    fresh "$X"
    local base before d
    base=$(store_diff_ids "$X/store" localhost/small:latest | head -n 1)
    splitfd get-layer --format=tar --root "$X/store/root" --runroot "$X/store/run" localhost/small 0 |
        splitfd import-layer --format=tar --repo "$repo" "$base" > /dev/null
    before=$(readlink "$repo/streams/oci-layer-$base")
    push 0 "$X/store" localhost/small small
    assert_match '^layers   2 sent \+ 1 already present; ' "$(line layers)"
    assert_same "$before" "$(readlink "$repo/streams/oci-layer-$base")"
    assert_layers_exact "$repo" small
    cfs "$repo" gc > /dev/null
    assert_fsck_clean "$repo"
    assert_layers_exact "$repo" small

    fresh "$X/" # the same with all of it from our own pull: config and image are kept, too
    store_pull 0 "$repo" "$X/store" localhost/small ours
    before=$(repo_names "$repo")
    push 0 "$X/store" localhost/small ours
    assert_same "$before" "$(repo_names "$repo")"
}

@test "docker's manifest is converted as by a pull; a sha256 repository" {
    local store=$X/docker other=$X/pulled
    store_make "$store"
    timeout 120 skopeo copy --quiet --insecure-policy --format v2s2 "oci:$SMALL" \
        "containers-storage:$(store_spec "$store")localhost/docker" < /dev/null
    fresh "$X" --algorithm fsverity-sha256-12
    push 0 "$store" localhost/docker --json docker
    local pushed=$output
    assert_documented push "$pushed"
    repo_init "$other" --algorithm fsverity-sha256-12
    store_pull 0 "$other" "$store" localhost/docker docker -- --json
    for key in .manifest_digest .config_digest .tag; do
        assert_same "$(jq -r "$key" <<< "$output")" "$(jq -r "$key" <<< "$pushed")"
    done
    assert_same 3 "$(jq .stats.layers_sent <<< "$pushed")"
    assert_same "$(jq -r .composefs_erofs <<< "$output")" "$(cfs "$repo" oci compute-id docker)"
    assert_same_streams content "$repo" docker "$other"
    assert_fsck_clean "$repo"
}

@test "pull from the service: the repository of a direct pull, every extent shared" {
    fresh "$X"
    local direct=$X/direct image
    push 0 "$X/store" localhost/small small
    store_pull 0 "$X/r$BATS_TEST_NUMBER.none" "$X/store" localhost/small small 2> /dev/null && return 1
    repo_init "$direct" && store_pull 0 "$direct" "$X/store" localhost/small small
    local from=$repo manifest
    manifest=$(line manifest)
    for image in small "@${manifest#manifest }"; do
        repo=$X/back && rm -rf "$repo" && repo_init "$repo"
        run_splitfd 0 pull --repo "$repo" --from-repo "$from" "varlink:$SOCKET#$image" small
        assert_same "$(repo_names "$direct")" "$(repo_names "$repo")"
    done
    assert_match ' [0-9]{4} reflinked \+ 0 copied ' "$(line objects)"
    run_splitfd 0 pull --repo "$repo" --from-repo "$from" "varlink:$SOCKET#small" small
    assert_match ' 0 reflinked| 0 new|layers already present' "$(line objects)"
    # gc waits for nobody here either.
    timeout 30 "$CFSCTL" --repo "$from" gc > /dev/null
}

# own_start SOCKET OPTION…: splitfd's own service; its process in $own.
own_start() {
    local socket=$1 n
    shift
    "$BUILD/splitfd" serve --protocol=varlink --socket "$socket" "$@" > /dev/null 2>&1 < /dev/null 3>&- &
    own=$!
    for n in $(seq 200); do [ ! -S "$socket" ] || return 0; sleep 0.05; done
    return 1
}

# bats test_tags=asan, tsan
@test "splitfd's own services, a store's and a repository's: the repository of a direct pull" {
    fresh "$X"
    local direct=$X/direct-own from=$repo
    repo_init "$direct" && store_pull 0 "$direct" "$X/store" localhost/small small
    own_start "$X/own-store" --root "$X/store/root" --runroot "$X/store/run"
    run_splitfd 0 pull --repo "$repo" "varlink:$X/own-store#localhost/small" small
    kill "$own"
    # One name of the image is not UTF-8, and cannot be told in the stream.
    assert_match ' [0-9]{4} reflinked \+ 1 copied ' "$(line objects)"
    assert_same "$(repo_names "$direct")" "$(repo_names "$repo")"
    rm -rf "$repo" && repo_init "$repo"
    own_start "$X/own-repo" --repo "$repo"
    socket=$X/own-repo push 0 "$X/store" localhost/small small
    assert_match '^objects  [0-9]{4} reflinked \+ 0 hard-linked \+ 1 copied ' "$(line objects)"
    assert_same "$(repo_names "$direct")" "$(repo_names "$repo")"
    repo=$X/back-own && repo_init "$repo"
    run_splitfd 0 pull --repo "$repo" --from-repo "$from" "varlink:$X/own-repo#small" small
    kill "$own"
    assert_same "$(repo_names "$direct")" "$(repo_names "$repo")"
}

@test "what is not there: service, repository, image, layer options" {
    fresh "$X"
    socket=$X/none push 3 "$X/store" localhost/small small
    push 3 "$X/store" localhost/nothing small
    repo=$X/nothing push 3 "$X/store" localhost/small small
    push '2|4' "$X/store" localhost/small @bad
    assert_nothing_visible "$repo"
    run_splitfd 3 pull --repo "$repo" "varlink:$X/none#small"
    run_splitfd 3 pull --repo "$repo" --from-repo "$ORACLE" "varlink:$SOCKET#nothing"
    run_splitfd 2 pull --repo "$repo" "varlink:$SOCKET#small"
    assert_match 'from-repo' "$errors"
    run_splitfd 2 pull --repo "$repo" "varlink:$SOCKET"
    run_splitfd 2 push --repo "$repo" localhost/small
    touch "$X/file"
    socket=$X/file push '1|3' "$X/store" localhost/small small
}

@test "a layer that changed in the store is refused by the service; the good ones stay, no tag" {
    fresh "$X"
    local store=$X/damaged top
    store_load debian "$SMALL" "$store" localhost/small
    top=$(store_layer_ids "$store" "$(store_diff_ids "$store" localhost/small:latest | tail -n 1)")
    printf X | dd of="$store/root/overlay/$top/diff/opt/more/large" bs=1 seek=1000 conv=notrunc status=none
    push 4 "$store" localhost/small small
    assert_match 'opt/more/large' "$errors"
    assert_same 2 "$(repo_visible "$repo" | wc -l)"
    push 0 "$X/store" localhost/small small
    assert_match '^layers   1 sent \+ 2 already present; ' "$(line layers)"
    assert_as_oracle small
}

@test "interrupted: nothing visible but whole layers, and the next push goes on" {
    fresh "$X"
    slow_start 20000 push --to "$SOCKET" --repo "$repo" --root "$X/store/root" --runroot "$X/store/run" \
        localhost/small small
    slow_wait_objects "$repo" 50
    kill -INT "$slow"
    slow_end
    [ "$slow_code" -ne 0 ]
    repo_visible "$repo" > "$BATS_TEST_TMPDIR/visible"
    refute grep -v oci-layer "$BATS_TEST_TMPDIR/visible"
    push 0 "$X/store" localhost/small small
    assert_as_oracle small
}

# hostile SIDE COMMAND…: each way of a service to misbehave ends soon, in one line, with nothing visible.
hostile() {
    local side=$1 case n=0 server ended bad=()
    shift
    while IFS= read -r case; do
        rm -rf "$repo" "$X/hostile" && repo_init "$repo"
        python3 "$LIB/varlink-lying-services.py" "$X/hostile" "$case" > /dev/null 2>&1 < /dev/null 3>&- &
        server=$!
        for ended in $(seq 400); do [ ! -S "$X/hostile" ] || break; sleep 0.05; done
        SPLITFD_TIMEOUT=30 run_splitfd '1|3|4' "$@" < /dev/null > "$BATS_TEST_TMPDIR/said" 2>&1 &&
            assert_same 1 "$(wc -l <<< "$errors")" && assert_nothing_visible "$repo" ||
            { bad+=("$case"); cat "$BATS_TEST_TMPDIR/said"; }
        kill "$server" 2> /dev/null || true
        wait "$server" || true
        n=$((n + 1))
    done < <(python3 "$LIB/varlink-lying-services.py" - "list-$side")
    echo "failed: ${bad[*]}"
    [ ${#bad[@]} -eq 0 ] && [ "$n" -gt 30 ]
}

# bats test_tags=asan
@test "services that misbehave while they are pushed to" {
    fresh "$X"
    hostile push push --timeout 1 --to "$X/hostile" --repo "$repo" --root "$X/store/root" \
        --runroot "$X/store/run" localhost/small small
}

# bats test_tags=asan
@test "services that misbehave while they are pulled from" {
    fresh "$X"
    hostile pull pull --timeout 1 --repo "$repo" --from-repo /some "varlink:$X/hostile#image" name
}

# A peer's own choice of descriptors and frames: cfsctl sends few.
@test "services that do nothing wrong, with a layer's descriptors in one frame and in many" {
    fresh "$X"
    local case n
    ulimit -S -n 256
    for case in good "good in frames"; do
        rm -rf "$X/hostile" "$repo" && repo_init "$repo"
        python3 "$LIB/varlink-lying-services.py" "$X/hostile" "$case" > /dev/null 2>&1 < /dev/null 3>&- &
        for n in $(seq 400); do [ ! -S "$X/hostile" ] || break; sleep 0.05; done
        run_splitfd 0 pull --repo "$repo" --from-repo /some "varlink:$X/hostile#image" name
        assert_cfsctl_accepts "$repo" name
    done
}
