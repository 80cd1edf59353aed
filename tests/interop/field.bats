#!/usr/bin/env bats
# Ten cases that users of podman, skopeo and cfsctl reported: what these programs say first, then splitfd. Private
# files of a store without root with --reflink=always are in rootless.bats.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/rootless
load ../lib/proxy

setup_file() {
    require_interop || return 0
    require_newer || return 0
    require_program useradd newuidmap setpriv python3 || return 0
    scratch_make
    proxy_programs
    local tree=$SCRATCH/tree
    mkdir -p "$tree/usr/bin" "$tree/usr/empty" "$tree/etc"
    head -c 20000 /dev/urandom > "$tree/usr/bin/program"
    head -c 300000 /dev/urandom > "$tree/usr/large"
    echo small > "$tree/usr/small"
    chmod 0600 "$tree/usr/small"
    chown 12:34 "$tree/usr/large"
    ln -s bin/program "$tree/usr/link"
    ln "$tree/usr/large" "$tree/usr/hard"
    tar -C "$tree" --sort=name --numeric-owner -cf "$SCRATCH/base.tar" .
    mkdir -p "$SCRATCH/above/usr"
    head -c 5000 /dev/urandom > "$SCRATCH/above/usr/second"
    tar -C "$SCRATCH/above" --sort=name --numeric-owner -cf "$SCRATCH/top.tar" ./usr
    python3 "$LIB/make-layout.py" "$SCRATCH/layout" small "gzip:$SCRATCH/base.tar" "gzip:$SCRATCH/top.tar" > /dev/null
    export IMAGE=$SCRATCH/layout:small STORE=$SCRATCH/store
    store_load debian "$IMAGE" "$STORE" localhost/small
}
teardown_file() { scratch_drop; }
setup() {
    [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"
    # Below SCRATCH, whose mounts end with the file.
    s=$SCRATCH/$BATS_TEST_NUMBER repo=$BATS_TEST_TMPDIR/repo
    repo_init "$repo"
}
teardown() { user_drop; }

# A store of this test's own with the image.
copy_store() {
    [ ! -d "$s" ] || { unmount_below "$s" && rm -rf --one-file-system "$s"; }
    mkdir -p "$s/root"
    cp -a "$STORE/root"/overlay-* "$s/root"
    mkdir "$s/root/overlay"
    cp -a "$STORE"/root/overlay/[0-9a-f]* "$STORE/root/overlay/l" "$s/root/overlay"
    store_make "$s"
}
of_small() { jq -r ".[] | select(.names // [] | index(\"localhost/small:latest\")) | $1" "$STORE/root/overlay-images/images.json"; }
spec() { echo "containers-storage:$(store_spec "$s")$1"; } # NAME
# skopeo of both suites: it copies the image, or does not.
skopeos() { # copies|fails NAME
    local suite
    for suite in debian newer; do
        rm -rf "$s/copy"
        if [ "$1" = copies ]; then
            in_suite $suite skopeo copy -q --insecure-policy "$(spec "$2")" "dir:$s/copy" < /dev/null || return 1
        else
            refute in_suite $suite skopeo copy -q --insecure-policy "$(spec "$2")" "dir:$s/copy" < /dev/null || return 1
        fi
    done
}
# Success and value of OpenImage and OpenImageOptional, by the newer skopeo and by ours: the same.
assert_opens_same() { # REFERENCE…
    python3 - "$@" -- $NEWER -- $OURS << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import Proxy
words = sys.argv[1:]
at = words.index("--")
references, rest = words[:at], words[at + 1:]
at = rest.index("--")
answers = []
for program in (rest[:at], rest[at + 1:]):
    p = Proxy(program + ["--insecure-policy"])
    answers.append([(r, m, a["success"], a["value"] and 1) for r in references
                    for m in ("OpenImage", "OpenImageOptional") for a in [p.call(m, r)[0]]])
    p.close()
assert answers[0] == answers[1], answers
print(answers[0])
X
}
# It is there, whatever is wrong with it.
assert_not_absent() { # REFERENCE
    python3 - "$1" -- $NEWER -- $OURS << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import Proxy, ProxyError
rest = sys.argv[3:]
at = rest.index("--")
for program in (rest[:at], rest[at + 1:]):
    p = Proxy(program + ["--insecure-policy"])
    reply = p.call("OpenImageOptional", sys.argv[1])[0]
    assert reply["value"] != 0, reply
    if reply["success"]:
        try:
            p.piped("GetConfig", reply["value"])
        except ProxyError:
            continue
        raise SystemExit("GetConfig gave something")
X
}
# A store that podman of the one suite has used, for the other.
change_suite() { rm -rf "$s/root/libpod" "$s"/root/db.sql* "$s/root/defaultNetworkBackend"; }
list_tree() { # DIR
    (cd "$1" && find usr -printf '%p %y %m %U %G %l\n' && find usr ! -type d -printf '%p %s %n %T@\n' &&
        find usr -type f -exec sha256sum {} +) | LC_ALL=C sort
}
image_tree() { # TAG
    mkdir -p "$SCRATCH/mnt"
    splitfd mount --repo "$repo" "$1" "$SCRATCH/mnt" && list_tree "$SCRATCH/mnt" && umount "$SCRATCH/mnt"
}

@test "a store after a crash: a manifest or config that is gone" {
    local digest file
    digest=$(of_small .digest)
    copy_store
    rm "$s/root/overlay-images/$(of_small .id)/manifest"
    skopeos fails localhost/small
    store_pull 4 "$repo" "$s" localhost/small x
    assert_match 'its manifest is missing in .*; podman pull restores it' "$errors"
    assert_nothing_visible "$repo"
    # It is not absent, and by its digest it is whole.
    assert_not_absent "$(spec localhost/small)"
    assert_opens_same "$(spec "localhost/small@$digest")" "$(spec localhost/none)"
    skopeos copies "localhost/small@$digest"
    store_pull 0 "$repo" "$s" "localhost/small@$digest" by-digest
    assert_cfsctl_accepts "$repo" by-digest
    # As the hint says.
    store_load debian "$IMAGE" "$s" localhost/small
    store_pull 0 "$repo" "$s" localhost/small again

    file==$(printf 'sha256:%s' "$(of_small .id)" | base64 -w 0)
    copy_store
    rm "$s/root/overlay-images/$(of_small .id)/$file"
    skopeos fails localhost/small
    store_pull 4 "$repo" "$s" localhost/small x
    assert_match 'its sha256:.* is missing in .*; podman pull restores it' "$errors"
    assert_not_absent "$(spec localhost/small)"
    store_load debian "$IMAGE" "$s" localhost/small
    store_pull 0 "$repo" "$s" localhost/small again
}

@test "a store after a crash: every file is empty" {
    local what
    for what in overlay overlay-layers/*.gz overlay-images/*/ overlay-layers overlay-images; do
        copy_store
        (cd "$s/root" && find $what -type f -exec truncate -s 0 {} +)
        skopeos fails localhost/small
        case $what in
        overlay-images) store_pull 3 "$repo" "$s" localhost/small x ;; # no record: no image
        *) store_pull 4 "$repo" "$s" localhost/small x ;;
        esac
        assert_nothing_visible "$repo"
    done
    copy_store
    find "$s/root" -type f -exec truncate -s 0 {} +
    store_pull 3 "$repo" "$s" localhost/small x
    assert_opens_same "$(spec localhost/small)"
}

@test "an image that was copied inside storage" {
    local digest there=$SCRATCH/there
    copy_store
    store_make "$there"
    skopeo copy -q --insecure-policy "$(spec localhost/small)" "$(spec localhost/other)"
    skopeo copy -q --insecure-policy "$(spec localhost/small)" "containers-storage:$(store_spec "$there")localhost/copy"
    # Its layers are the uncompressed ones, and the manifest is another.
    digest=sha256:$(skopeo inspect --raw "$(spec localhost/other)" | sha256sum | cut -d' ' -f1)
    [ "$digest" != "$(of_small .digest)" ]
    suite_podman debian "$s" -- image inspect localhost/other > /dev/null
    store_pull 0 "$repo" "$STORE" localhost/small small
    id=$(sed -n 's/^image *//p' <<< "$output")
    [ -n "$id" ]
    store_pull 0 "$repo" "$s" localhost/other other
    assert_match "manifest $digest"$'\n.*\n'"image    $id" "$output"
    store_pull 0 "$repo" "$there" localhost/copy copy
    assert_match "manifest $digest"$'\n.*\n'"image    $id" "$output"
    # The first manifest is still there.
    store_pull 0 "$repo" "$s" "localhost/small@$(of_small .digest)" first
    assert_match "manifest $(of_small .digest)" "$output"
    for tag in small other copy first; do assert_cfsctl_accepts "$repo" "$tag"; done
}

@test "cfsctl's id of the mounted image" {
    local root=$BATS_TEST_TMPDIR/mnt
    store_pull 0 "$repo" "$STORE" localhost/small small
    mkdir "$root"
    splitfd mount --repo "$repo" small "$root"
    "$CFSCTL" --repo "$repo" create-dumpfile "$root" > "$BATS_TEST_TMPDIR/theirs"
    splitfd dump --repo "$repo" small > "$BATS_TEST_TMPDIR/ours"
    umount "$root"
    diff "$BATS_TEST_TMPDIR/theirs" "$BATS_TEST_TMPDIR/ours"
}

@test "/var/tmp of 1 MB: TMPDIR is another, also for skopeo, and the error names it" {
    local small=$BATS_TEST_TMPDIR/small here=$BATS_TEST_TMPDIR
    mkdir "$small" "$here/tree"
    head -c 3000000 /dev/urandom > "$here/tree/random"
    # Only holes are less than what podman keeps of them.
    truncate -s 8M "$here/tree/sparse"
    head -c 2500000 /dev/urandom | dd of="$here/tree/sparse" bs=1M seek=3 conv=notrunc status=none
    tar -C "$here/tree" --sort=name --transform='s,^\.,usr,' -cf "$here/plain.tar" .
    python3 "$LIB/make-layout.py" "$here/layout" plain "gzip:$here/plain.tar" > /dev/null
    skopeo copy -q --insecure-policy "oci:$here/layout:plain" "oci-archive:$here/plain.oci:plain"
    cat > "$here/run" << 'X'
mount -t tmpfs -o size=1m tmpfs "$1" && mount --bind "$1" /var/tmp && shift && exec "$@"
X
    # The store, the repository and the programs have to be seen while /var/tmp is another.
    local root=/run/sfdt.field.$BATS_ROOT_PID
    mkdir "$root"
    cp "$here/plain.oci" "$root"
    cp "$BUILD/splitfd" "$root"
    cp -a "$repo" "$root/repo"
    in_small() { SPLITFD_RUN="unshare --mount bash $here/run $small" BUILD=$root run_splitfd "$@"; }
    in_small 1 pull --quiet --repo "$root/repo" --insecure-policy "oci-archive:$root/plain.oci:plain" plain
    assert_match 'no space left on device \(TMPDIR names another place' "$errors"
    assert_nothing_visible "$root/repo"
    TMPDIR=$root in_small 0 pull --quiet --repo "$root/repo" --insecure-policy "oci-archive:$root/plain.oci:plain" plain
    assert_cfsctl_accepts "$root/repo" plain
    assert_same "plain.oci repo splitfd" "$(echo $(ls "$root"))"
    rm -rf "$root"
}

@test "3 MiB behind a layer's end" {
    local t d size
    for t in zeros other; do
        cp "$SCRATCH/base.tar" "$BATS_TEST_TMPDIR/$t.tar"
        head -c 3145728 /dev/zero >> "$BATS_TEST_TMPDIR/$t.tar"
        [ $t = zeros ] || printf 'something' >> "$BATS_TEST_TMPDIR/$t.tar"
        python3 "$LIB/make-layout.py" "$BATS_TEST_TMPDIR/layout" $t "gzip:$BATS_TEST_TMPDIR/$t.tar" > /dev/null
        store_load debian "$BATS_TEST_TMPDIR/layout:$t" "$s" localhost/$t
        store_pull 0 "$repo" "$s" localhost/$t $t
        assert_cfsctl_accepts "$repo" $t
        run_splitfd 0 pull --repo "$repo" --insecure-policy "oci:$BATS_TEST_TMPDIR/layout:$t" $t-layout
        assert_same "$(repo_visible "$repo" | grep -c '^images/[0-9a-f]')" 1
        d=sha256:$(sha256sum < "$BATS_TEST_TMPDIR/$t.tar" | cut -d' ' -f1)
        size=$(stat -c %s "$BATS_TEST_TMPDIR/$t.tar")
        # A client that stops at the tar's end, within it, or a little behind; then all of it.
        python3 - "$(spec localhost/$t)" "$d" "$size" "$(stat -c %s "$SCRATCH/base.tar")" -- $NEWER -- $OURS << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import Proxy, sha256
reference, digest, size, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rest = sys.argv[6:]
at = rest.index("--")
answers = []
for program in (rest[:at], rest[at + 1:]):
    p = Proxy(program + ["--insecure-policy"])
    image = p.open(reference)
    got = []
    for stop in (end, end - 512, end + 512, 100):
        reply, fds = p.call("GetBlob", image, digest, size)
        n = 0
        while n < stop:
            n += len(os.read(fds[0], stop - n))
        os.close(fds[0])
        finished = p.call("FinishPipe", reply["pipeid"])[0]
        got.append((reply["value"], finished["success"], "broken pipe" in finished["error"]))
    assert sha256(p.blob(image, digest, size)) == digest
    answers.append(got)
    p.close()
assert answers[0] == answers[1], answers
X
    done
}

@test "names that --iidfile writes, and name:tag@digest without a registry" {
    local id digest suite name
    copy_store
    printf 'FROM localhost/small\nLABEL a=b\n' > "$BATS_TEST_TMPDIR/Containerfile"
    suite_buildah debian "$s" -- bud -q --isolation chroot --iidfile "$BATS_TEST_TMPDIR/iid" -t localhost/built:v1 \
        -f "$BATS_TEST_TMPDIR/Containerfile" "$BATS_TEST_TMPDIR" > /dev/null
    id=$(sed 's/^sha256://' "$BATS_TEST_TMPDIR/iid")
    assert_match '^[0-9a-f]{64}$' "$id"
    digest=$(jq -r --arg i "$id" '.[] | select(.id == $i) | .digest' "$s/root/overlay-images/images.json")
    for name in "$(cat "$BATS_TEST_TMPDIR/iid")" "$id" "${id:0:9}" "built:v1@$digest" "built@$digest" \
        "localhost/built:v1@$digest" "localhost/built@$digest" "localhost/built:other@$digest"; do
        echo "# $name"
        for suite in debian newer; do
            change_suite
            assert_same "$id" "$(suite_podman $suite "$s" -- image inspect --format '{{.Id}}' "$name")"
        done
        store_pull 0 "$repo" "$s" "$name" x
        assert_match "config   sha256:$id" "$output"
    done
    # An older podman takes the digest alone, whatever the repository.
    for name in "localhost/other:v1@$digest" "other@$digest"; do
        change_suite
        assert_same "$id" "$(suite_podman debian "$s" -- image inspect --format '{{.Id}}' "$name")"
        change_suite
        refute suite_podman newer "$s" -- image inspect "$name"
        store_pull 3 "$repo" "$s" "$name" x
    done
    for name in "$(cut -c 1-30 "$BATS_TEST_TMPDIR/iid")" "localhost/built:v1@sha256:$id" "built:v2"; do
        echo "# $name"
        for suite in debian newer; do
            change_suite
            refute suite_podman $suite "$s" -- image inspect "$name"
        done
        store_pull '2|3' "$repo" "$s" "$name" x
    done
}

@test "podman unshare splitfd images" {
    user_make
    as_user "$USER_BIN/splitfd" init --insecure --user > /dev/null
    cp -r "$SCRATCH/layout" "$USER_HOME/layout"
    chmod -R a+rX "$USER_HOME/layout"
    as_user skopeo copy -q --insecure-policy "oci:$USER_HOME/layout:small" containers-storage:localhost/small
    as_user "$USER_BIN/splitfd" pull --quiet localhost/small small > /dev/null
    as_user podman unshare "$USER_BIN/splitfd" pull --quiet localhost/small inside > /dev/null 2>&1
    list=$(as_user "$USER_BIN/splitfd" images)
    assert_match $'\ninside .*\nsmall ' "$list"
    assert_same "$list" "$(as_user podman unshare "$USER_BIN/splitfd" images 2> /dev/null)"
    assert_same "$(as_user "$USER_BIN/splitfd" compute-id small)" \
        "$(as_user podman unshare "$USER_BIN/splitfd" compute-id inside 2> /dev/null)"
    # Named, it is the system's.
    refute as_user podman unshare "$USER_BIN/splitfd" images --system
}

@test "podman commit of a container with an ID map" {
    local suite dir id want
    head -c 100000 /dev/urandom > "$BATS_TEST_TMPDIR/new"
    for suite in debian newer; do
        for off in yes no; do
            copy_store
            id=$(_CONTAINERS_OVERLAY_DISABLE_IDMAP=$off suite_podman $suite "$s" -- create --uidmap 0:100000:2000 \
                --gidmap 0:100000:2000 --network none --cgroups disabled localhost/small /none 3>&-)
            suite_podman $suite "$s" -- cp "$BATS_TEST_TMPDIR/new" "$id:/usr/new"
            suite_podman $suite "$s" -- commit -q "$id" localhost/committed > /dev/null
            suite_podman $suite "$s" -- rm -f "$id" > /dev/null
            store_pull 0 "$repo" "$s" localhost/committed $suite-$off
            assert_cfsctl_accepts "$repo" $suite-$off
            skopeos copies localhost/committed
            # The newer podman mounts where it alone sees it.
            change_suite
            dir=$(suite_podman debian "$s" -- image mount localhost/committed)
            want=$(list_tree "$dir")
            suite_podman debian "$s" -- image umount localhost/committed > /dev/null
            [ -n "$want" ]
            assert_same "$want" "$(image_tree $suite-$off)"
        done
    done
}

@test "OpenImageOptional of archives and directories that are missing" {
    OURS="$SCRATCH/bin-splitfd-newer/skopeo experimental-image-proxy"
    skopeo copy -q --insecure-policy "oci:$IMAGE" "oci-archive:$BATS_TEST_TMPDIR/oci.tar:small"
    skopeo copy -q --insecure-policy "oci:$IMAGE" "docker-archive:$BATS_TEST_TMPDIR/docker.tar:name:small"
    assert_opens_same "oci-archive:$BATS_TEST_TMPDIR/none.tar" "oci-archive:$BATS_TEST_TMPDIR/none.tar:x" \
        "docker-archive:$BATS_TEST_TMPDIR/none.tar" "oci:$BATS_TEST_TMPDIR/none:x" "oci:$SCRATCH/layout:none" \
        "dir:$BATS_TEST_TMPDIR/none" "oci-archive:$BATS_TEST_TMPDIR/oci.tar:none" \
        "docker-archive:$BATS_TEST_TMPDIR/docker.tar:name:none" "oci-archive:$BATS_TEST_TMPDIR/oci.tar:small" \
        "docker-archive:$BATS_TEST_TMPDIR/docker.tar:name:small" "oci:$IMAGE" \
        "containers-storage:$(store_spec "$STORE")localhost/none" "docker://127.0.0.1:1/none:x"
}
