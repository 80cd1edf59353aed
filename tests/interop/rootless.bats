#!/usr/bin/env bats
# Stores of a real user without root, made by Debian's podman: overlay on XFS, and all defaults (vfs,
# on ext4). Files of mapped ids that the user cannot open are opened by one helper under podman
# unshare, which is started only where it is needed and never left behind.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/rootless

setup_file() {
    require_interop || return 0
    require_program useradd newuidmap setpriv python3 || return 0
    scratch_make
    fs_make xfs "$SCRATCH/x" 2G
    user_make
    export STORE=$SCRATCH/x/store ROOT_STORE=$SCRATCH/x/root-store ROOT_REPO=$SCRATCH/x/root-repo
    store_make "$STORE"
    store_make "$ROOT_STORE"
    chown -R "$USER_NAME:" "$STORE" "$SCRATCH/x"
    "$LIB/rootless-image.py" "$SCRATCH/odd.tar" localhost/odd 600 > "$SCRATCH/ids"
    "$LIB/rootless-image.py" "$SCRATCH/open.tar" localhost/open 0 > "$SCRATCH/open-ids"
    "$LIB/rootless-image.py" "$SCRATCH/alias.tar" localhost/alias 5 alias > "$SCRATCH/alias-ids"
    chmod 644 "$SCRATCH"/*.tar
    local name
    for name in odd open alias; do
        user_podman "$STORE" overlay load --quiet --input "$SCRATCH/$name.tar" > /dev/null
    done
    as_user /usr/bin/podman load --quiet --input "$SCRATCH/odd.tar" > /dev/null 2>&1
    # What root makes of the same image.
    suite_podman debian "$ROOT_STORE" -- load --quiet --input "$SCRATCH/odd.tar" > /dev/null
    repo_init "$ROOT_REPO"
    store_pull 0 "$ROOT_REPO" "$ROOT_STORE" localhost/odd odd
    # cfsctl works on the user's repositories as the user.
    printf '#!/bin/bash\n. "%s/rootless.bash"\nas_user "%s/cfsctl" "$@"\n' "$LIB" "$USER_BIN" > "$SCRATCH/cfsctl"
    chmod 755 "$SCRATCH/cfsctl"
    export CFSCTL=$SCRATCH/cfsctl
}
teardown_file() {
    user_drop
    scratch_drop
}
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    from=(--root "$STORE/root" --runroot "$STORE/run" --storage-driver overlay)
    starts > /dev/null
    repo=$SCRATCH/x/r$BATS_TEST_NUMBER
}
teardown() {
    [ -z "${SKIP_ALL:-}" ] || return 0
    rm -rf "$repo"
    assert_no_process
}

# user_splitfd CODE ARGUMENT…: as run_splitfd, by the user.
user_splitfd() {
    local want=$1 got=0
    shift
    output=$(timeout --kill-after=5 120 bash -c '. "$LIB/rootless.bash"; as_user ${RUN:-} "$USER_BIN/splitfd" "$@"' - "$@" \
        2> "$BATS_TEST_TMPDIR/errors" < /dev/null 3>&-) || got=$?
    errors=$(cat "$BATS_TEST_TMPDIR/errors")
    printf '$ splitfd %s  -> %s\n%s\nstderr: %s\n' "$*" "$got" "$output" "$errors"
    assert_same "$want" "$got" || return 1
    [ "$got" -ne 0 ] || assert_empty "$errors"
}
user_repo() { user_splitfd 0 init --insecure --repo "$repo"; }

# Every file of a repository is the user's, and one that everybody may read where it is an object.
assert_owned() { # REPO
    assert_silent find "$1" ! -user "$USER_NAME"
    assert_silent find "$1/objects" -type f ! -perm 0644
}

# bats test_tags=asan, tsan
@test "overlay on XFS: reflinks, cfsctl accepts, the same streams as of root's pull; one helper" {
    user_repo
    user_splitfd 0 pull --repo "$repo" "${from[@]}" --reflink=always --jobs=4 --verify-diffid localhost/odd odd
    assert_same 1 "$(starts)"
    assert_same "$(cat "$SCRATCH/ids")" "$(tag_diff_ids "$repo" odd)"
    assert_cfsctl_accepts "$repo" odd
    assert_owned "$repo"
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
    assert_same "$(ls "$ROOT_REPO/images")" "$(ls "$repo/images")"
    assert_extents_shared "$repo" odd "$STORE"
}

@test "the user's defaults: vfs below HOME on ext4, the repository below HOME" {
    user_splitfd 0 init --insecure --user
    user_splitfd 0 pull localhost/odd odd
    assert_same 1 "$(starts)"
    assert_same vfs-images "$(cd "$USER_HOME/.local/share/containers/storage" && echo *-images)"
    repo=$USER_HOME/.var/lib/composefs
    assert_cfsctl_accepts "$repo" odd
    assert_owned "$repo"
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
    as_user "$USER_BIN/cfsctl" --user oci fsck | grep -qx 'status: ok'
    user_splitfd 0 fsck
}

@test "no helper: where every file can be opened, inside podman unshare and buildah unshare, for root" {
    local layer
    layer=$(head -n 1 "$SCRATCH/ids")
    user_repo
    user_splitfd 0 pull --repo "$repo" "${from[@]}" localhost/open open
    assert_same 0 "$(starts)"
    for program in podman buildah; do
        as_user /usr/bin/$program unshare "$USER_BIN/splitfd" get-layer --format=tar "${from[@]}" localhost/odd 0 > "$SCRATCH/tar"
        assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
        as_user /usr/bin/$program unshare "$USER_BIN/splitfd" pull --repo "$repo" "${from[@]}" --quiet localhost/odd $program
        assert_same_streams exact "$repo" $program "$ROOT_REPO"
    done
    assert_owned "$repo"
    PATH=$USER_BIN:$PATH splitfd get-layer --format=tar "${from[@]}" localhost/odd 0 > "$SCRATCH/tar"
    assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
    assert_same 0 "$(starts)"
}

# bats test_tags=asan, tsan
@test "get-layer in all formats, 64 files open; a private file below a symlink" {
    local layer format
    user_repo
    layer=$(head -n 1 "$SCRATCH/ids")
    as_user "$USER_BIN/splitfd" get-layer --format=tar "${from[@]}" localhost/odd "$layer" > "$SCRATCH/tar"
    assert_same "$layer" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
    assert_same 1 "$(starts)"
    install -m 755 "$LIB/wire-pipe.py" "$SCRATCH/wire-pipe.py"
    for format in splitfdstream splitdirfdstream; do
        as_user "$SCRATCH/wire-pipe.py" --limit=64 "$USER_BIN/splitfd" get-layer --format=$format --fds=@FDS@ \
            "${from[@]}" localhost/odd "$layer" -- "$USER_BIN/splitfd" import-layer --format=$format --fds=@FDS@ \
            --repo "$repo" "$layer" 3>&-
        assert_same 1 "$(starts)"
        cmp "$repo/streams/oci-layer-$layer" "$ROOT_REPO/streams/oci-layer-$layer"
        rm "$repo/streams/oci-layer-$layer"
    done
    layer=$(cat "$SCRATCH/alias-ids")
    as_user "$USER_BIN/splitfd" get-layer --format=tar "${from[@]}" localhost/alias 0 > "$SCRATCH/tar"
    assert_same "$(head -n 1 <<< "$layer")" "sha256:$(sha256sum < "$SCRATCH/tar" | cut -d' ' -f1)"
}

@test "by the image proxy, also where that is called skopeo and is no link" {
    user_repo
    install -m 755 "$BUILD/splitfd" "$USER_BIN/skopeo"
    user_splitfd 0 pull --repo "$repo" --skopeo "$USER_BIN/skopeo" --insecure-policy \
        "containers-storage:[overlay@$STORE/root+$STORE/run]localhost/odd" odd
    rm "$USER_BIN/skopeo"
    [ "$(starts)" -ge 1 ]
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
    assert_cfsctl_accepts "$repo" odd
}

@test "a store of fuse-overlayfs" {
    local store=$SCRATCH/x/fuse
    require_program fuse-overlayfs
    [ -c /dev/fuse ] || skip "kernel: no /dev/fuse"
    user_repo
    store_make "$store"
    chown -R "$USER_NAME:" "$store"
    # Podman's namespace shall see a device that the user may open.
    as_user /usr/bin/podman system migrate 2> /dev/null
    mknod -m 666 "$SCRATCH/fuse-device" c "$((0x$(stat -c %t /dev/fuse)))" "$((0x$(stat -c %T /dev/fuse)))"
    unshare --mount --propagation private bash -c 'mount --bind "$SCRATCH/fuse-device" /dev/fuse && . "$LIB/rootless.bash" &&
        user_podman "$1" overlay --storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs \
            load --quiet --input "$SCRATCH/odd.tar"' - "$store" > /dev/null 3>&-
    as_user /usr/bin/podman system migrate 2> /dev/null
    assert_same true "$(cat "$store/root/overlay/.has-mount-program")"
    [ -n "$(find "$store/root/overlay" -name .wh.gone -type f)" ]
    user_splitfd 0 pull --repo "$repo" --root "$store/root" --runroot "$store/run" --storage-driver overlay \
        --reflink=always localhost/odd odd
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
}

# from_service PROTOCOL STARTS OPTION…: a pull from the user's own service, and how many helpers that took:
# one each time the service reads a layer.
from_service() {
    local protocol=$1 helpers=$2 socket=$USER_HOME/run/$1 pid n
    shift 2
    user_repo
    bash -c '. "$LIB/rootless.bash"; as_user "$USER_BIN/splitfd" serve "$@"' - --protocol=$protocol \
        --socket "$socket" "${from[@]}" > /dev/null 2>&1 < /dev/null 3>&- &
    for n in $(seq 1 200); do
        [ ! -S "$socket" ] || break
        sleep 0.05
    done
    user_splitfd 0 pull --repo "$repo" "$@" "$protocol:$socket#localhost/odd" odd
    pid=$(pgrep -u "$USER_NAME" -f '^[^ ]*/splitfd serve')
    # The helper goes with the layer, not with the service.
    for n in $(seq 1 40); do
        [ "$(user_processes | cut -d' ' -f1)" != "$pid" ] || break
        sleep 0.05
    done
    assert_same "$pid" "$(user_processes | cut -d' ' -f1)"
    kill "$pid"
    assert_same "$helpers" "$(starts)"
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
    assert_cfsctl_accepts "$repo" odd
}
@test "from a service of the user's own, over varlink" { from_service varlink 2; }
@test "from a service of the user's own, over JSON-RPC: all files as descriptors" {
    # The service counts a layer's descriptors first: two readings of each.
    from_service jsonrpc 4 --reflink=always
}

@test "from a service of the user's own, over JSON-RPC, 64 files open and on their way" {
    local socket=$USER_HOME/run/low pid n
    user_repo
    RUN="prlimit --nofile=64" bash -c '. "$LIB/rootless.bash"; as_user $RUN "$USER_BIN/splitfd" serve --protocol=jsonrpc --socket "$@"' \
        - "$socket" "${from[@]}" > /dev/null 2>&1 < /dev/null 3>&- &
    for n in $(seq 1 200); do
        [ ! -S "$socket" ] || break
        sleep 0.05
    done
    RUN="prlimit --nofile=64" user_splitfd 0 pull --repo "$repo" "jsonrpc:$socket#localhost/odd" odd
    pid=$(pgrep -u "$USER_NAME" -f '^[^ ]*/splitfd serve --protocol=jsonrpc')
    kill "$pid"
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
    assert_cfsctl_accepts "$repo" odd
}

# into_service OPTION…: the image into cfsctl's service of the user, who is allowed no mount, and some of
# whose files the service cannot open: those go through the pipe.
into_service() {
    local socket=$USER_HOME/run/cfsctl pid n
    rm -rf "$repo" "$socket"
    user_repo
    bash -c '. "$LIB/rootless.bash"; as_user "$USER_BIN/cfsctl" --insecure varlink --address "$1"' - "$socket" \
        > /dev/null 2>&1 < /dev/null 3>&- &
    for n in $(seq 1 200); do
        [ ! -S "$socket" ] || break
        sleep 0.05
    done
    pid=$(pgrep -u "$USER_NAME" -f '^[^ ]*/cfsctl --insecure varlink')
    user_splitfd 0 push --to "$socket" --repo "$repo" "$@" localhost/odd odd || { kill "$pid"; return 1; }
    kill "$pid"
    assert_match 'layers   2 sent \+ 0 already present; .*, of which 3\.[0-9]* MiB streamed' "$output"
    assert_no_process
    assert_same_streams content "$repo" odd "$ROOT_REPO"
    assert_same "$(ls "$ROOT_REPO/images")" "$(ls "$repo/images")"
    assert_owned "$repo"
    GARBAGE_OK=1 assert_cfsctl_accepts "$repo" odd
}
@test "push from the user's vfs store on ext4 into cfsctl's service: a repository on XFS, one beside it" {
    into_service
    rm -rf "$repo"
    repo=$USER_HOME/pushed
    into_service
    assert_silent find "$repo/objects" -type f -links +1
}
@test "push from the user's overlay store into cfsctl's service" {
    into_service "${from[@]}"
    assert_match ' [1-9] reflinked \+ 0 hard-linked \+ 6[0-9][0-9] copied ' "$output"
}

@test "64 files open" {
    user_repo
    RUN="prlimit --nofile=64" user_splitfd 0 pull --repo "$repo" "${from[@]}" --jobs=16 localhost/odd odd
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
}

@test "buildah where there is no podman; without both, an error that says what to install" {
    local path=$SCRATCH/few
    user_repo
    mkdir -p "$path"
    USER_PATH=$path user_splitfd 1 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_match 'neither podman nor buildah is on PATH; install podman and uidmap' "$errors"
    assert_nothing_visible "$repo"
    ln -s /usr/bin/buildah /usr/bin/newuidmap /usr/bin/newgidmap "$path"
    USER_PATH=$path user_splitfd 0 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_same_streams exact "$repo" odd "$ROOT_REPO"
}

@test "no subordinate ids, those of another range, no newuidmap: errors that say what to set up" {
    local path=$SCRATCH/only-podman first
    user_repo
    mkdir -p "$path"
    ln -s /usr/bin/podman "$path"
    first=$(sed -n "s/^$USER_NAME:\([0-9]*\):.*/\1/p" /etc/subuid)
    as_user /usr/bin/podman system migrate 2> /dev/null
    USER_PATH=$path user_splitfd 1 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_match "under 'podman unshare', which does not work: .*newuidmap.*package uidmap" "$errors"

    user_subids
    user_splitfd 1 pull --repo "$repo" "${from[@]}" localhost/odd odd
    as_user /usr/bin/podman system migrate 2> /dev/null
    user_subids 2000000
    assert_match "$USER_NAME has no subordinate ids; 'usermod --add-subuids .* then 'podman system migrate'" "$errors"

    user_splitfd 1 pull --repo "$repo" "${from[@]}" localhost/odd odd
    user_subids "$first"
    as_user /usr/bin/podman system migrate 2> /dev/null
    assert_match "its owner is none of the subordinate ids that $USER_NAME has" "$errors"
    assert_nothing_visible "$repo"
    user_splitfd 0 pull --repo "$repo" "${from[@]}" localhost/odd odd
}

@test "a helper killed in its middle: one clear error, nothing visible, nothing left" {
    local path=$SCRATCH/kill
    user_repo
    mkdir -p "$path"
    # The real podman, and strace that kills the helper instead of its 100th reply.
    cat > "$path/podman" << 'END'
#!/bin/sh
shift
exec /usr/bin/podman unshare strace -o /dev/null -e trace=sendmsg -e inject=sendmsg:signal=SIGKILL:when=100 "$@"
END
    chmod 755 "$path" "$path/podman"
    USER_PATH=$path:/usr/bin:/bin:/usr/sbin user_splitfd 1 pull --repo "$repo" "${from[@]}" --jobs=8 localhost/odd odd
    assert_match "the process under 'podman unshare' that opens the files of the user's containers has ended" "$errors"
    assert_same 1 "$(wc -l <<< "$errors")"
    assert_nothing_visible "$repo"
    assert_no_process
    user_splitfd 0 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_cfsctl_accepts "$repo" odd
}

@test "a splitfd that is killed takes its helper along" {
    local fifo=$SCRATCH/fifo pid n
    mkfifo "$fifo"
    bash -c '. "$LIB/rootless.bash"; as_user "$USER_BIN/splitfd" get-layer --format=tar "$@"' - \
        "${from[@]}" localhost/odd 0 > "$fifo" 2> /dev/null < /dev/null 3>&- &
    exec {reader}< "$fifo"
    for n in $(seq 1 200); do
        pgrep -u "$USER_NAME" -f '^[^ ]*/splitfd rootless-opener' > /dev/null && break
        sleep 0.05
    done
    user_processes | grep 'rootless-opener'
    pid=$(pgrep -u "$USER_NAME" -f '^[^ ]*/splitfd get-layer')
    kill -KILL "$pid"
    assert_no_process
    exec {reader}<&-
}

# bats test_tags=asan
@test "a private file that was changed in the store is refused" {
    local file
    user_repo
    file=$(find "$STORE/root/overlay" -path '*/diff/many/000100')
    cp --preserve=all "$file" "$SCRATCH/saved"
    echo more >> "$file"
    user_splitfd 4 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_match 'many/000100: has [0-9]* bytes in the store, [0-9]* in the layer: it was changed' "$errors"
    rm "$file" && mkfifo "$file"
    user_splitfd 4 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_match 'many/000100: is a FIFO in the store' "$errors"
    rm "$file"
    user_splitfd 4 pull --repo "$repo" "${from[@]}" localhost/odd odd
    assert_match 'many/000100: is missing from the store' "$errors"
    cp --preserve=all "$SCRATCH/saved" "$file"
    printf X | dd of="$file" conv=notrunc status=none
    user_splitfd 4 pull --repo "$repo" "${from[@]}" localhost/odd odd
    cp --preserve=all "$SCRATCH/saved" "$file"
    assert_nothing_visible "$repo"
}
