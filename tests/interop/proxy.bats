#!/usr/bin/env bats
# The image proxy against real ones: skopeo 1.22 of the newer suite as the judge, Debian's skopeo
# behind it, cfsctl and a program on the crate containers-image-proxy as clients.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/proxy

setup_file() {
    require_interop
    scratch_make
    export STORE=$SCRATCH/store
    make_images
    proxy_programs
    proxy_registry
    registry_push "oci:$SCRATCH/layout:two" two:latest
}
teardown_file() {
    registry_drop
    scratch_drop
}

bud() { suite_buildah debian "$STORE" -- "$@" < /dev/null 2> /dev/null; }

# one, two (on one), docker: the same as two with a docker manifest; layers from a few bytes to 5 MB.
make_images() {
    local c i
    store_make "$STORE"
    mkdir -p "$SCRATCH/a/usr/bin" "$SCRATCH/a/etc" "$SCRATCH/b"
    head -c 5000000 /dev/urandom > "$SCRATCH/a/usr/bin/large"
    ln -s large "$SCRATCH/a/usr/bin/link"
    for i in $(seq 200); do head -c $((i * 37)) /dev/urandom > "$SCRATCH/a/etc/$i"; done
    head -c 100000 /dev/zero > "$SCRATCH/b/zeros"
    c=$(bud from scratch)
    bud add "$c" "$SCRATCH/a" / > /dev/null
    bud config --env 'A=<b>&c' --label z=1 --label a=2 --cmd /bin/sh --port 80 --volume /v --user 5 "$c"
    bud commit -q "$c" localhost/one:latest > /dev/null
    c=$(bud from localhost/one:latest)
    bud add "$c" "$SCRATCH/b" /b > /dev/null
    bud commit -q "$c" localhost/two:latest > /dev/null
    bud commit -q --format docker "$c" localhost/docker:latest > /dev/null
    spec=containers-storage:$(store_spec "$STORE")
    export spec
    skopeo copy -q --insecure-policy "${spec}localhost/two" "oci:$SCRATCH/layout:two"
    skopeo copy -q --insecure-policy "${spec}localhost/two" "docker-archive:$SCRATCH/docker.tar:localhost/x:y"
    tar -C "$SCRATCH/layout" -cf - . | gzip > "$SCRATCH/oci.tar"
}

# cfsctl pulls REFERENCE by the skopeo of KIND into a new repository, which is printed.
cfs_pull() { # KIND REFERENCE
    local repo
    repo=$(mktemp -d "$SCRATCH/repo.XXXXXX")
    rmdir "$repo"
    "$CFSCTL" --repo "$repo" init --insecure > /dev/null
    HOME=$SCRATCH/home PATH=$SCRATCH/bin-$1:$PATH "$CFSCTL" --repo "$repo" oci pull "$2" tag > "$SCRATCH/pull.log" 2>&1 ||
        { cat "$SCRATCH/pull.log" >&2; return 1; }
    echo "$repo"
}

objects_without() { # MANIFEST REPO: all objects but those of the manifest, whose order is random
    local hex
    hex=$(stream_object "$2" "$1")
    repo_names "$2" | sed -n 's|^objects/||p' | tr -d '/ ' | grep -v "$hex"
}
both_pull() { # REFERENCE
    local a b
    a=$(cfs_pull debian "$1")
    assert_fsck_clean "$a"
    b=$(cfs_pull newer "$1")
    assert_same "$(contents "$b")" "$(contents "$a")"
    assert_same_streams exact "$a" tag "$b"
    manifest=$(cd "$b/streams" && echo oci-manifest-*)
    python3 "$LIB/splitstream.py" "$a/streams/$manifest" "$b/streams/$manifest"
    assert_same "$(objects_without "$manifest" "$b")" "$(objects_without "$manifest" "$a")"
}

@test "cfsctl pulls from containers-storage by splitfd and Debian's skopeo, as by skopeo 1.22" {
    both_pull "${spec}localhost/one"
    both_pull "${spec}localhost/two:latest"
}
@test "cfsctl pulls from containers-storage with no skopeo at all" {
    repo=$SCRATCH/alone
    "$CFSCTL" --repo "$repo" init --insecure > /dev/null
    PATH=$SCRATCH/bin-debian "$CFSCTL" --repo "$repo" oci pull "${spec}localhost/two" tag > /dev/null
    assert_fsck_clean "$repo"
}
@test "cfsctl pulls from a registry by splitfd and Debian's skopeo, as by skopeo 1.22" {
    both_pull "docker://127.0.0.1:$PORT/two:latest"
}
@test "cfsctl pulls a compressed oci-archive: by splitfd and Debian's skopeo, as by skopeo 1.22" {
    both_pull "oci-archive:$SCRATCH/oci.tar:two"
}
@test "cfsctl fails at docker-archive: by splitfd as it does by skopeo 1.22, which calls plain layers gzip" {
    local kind why said=
    for kind in newer debian splitfd-newer; do
        run cfs_pull $kind "docker-archive:$SCRATCH/docker.tar"
        [ "$status" -ne 0 ]
        # Whichever layer is the first.
        why=$(sed '/^Stack backtrace/,$d; s/layer sha256:[0-9a-f]*/layer/' <<< "$output")
        assert_match "Invalid gzip header" "$why"
        [ -n "$said" ] || said=$why
        assert_same "$said" "$why"
    done
}
@test "every flag of skopeo's proxy is accepted, before and behind the command" {
    python3 - "${spec}localhost/two" "$SCRATCH/bin-debian/skopeo" "oci:$SCRATCH/layout:two" << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
for flag in ("--authfile=/x --cert-dir=/x --tls-verify=false --shared-blob-dir=/x --daemon-host=x", "--creds=a:b", "--no-creds",
             "--username a --password b", "--registry-token=t", "--debug --override-arch=arm64 --override-os linux --override-variant v8",
             "--registries.d /x --registries-conf=/x --command-timeout=90s --tmpdir=/tmp --user-agent-prefix x --insecure-policy", "--decryption-key=/k",
             "--tls-verify", "--policy=/etc/containers/policy.json"):
    p = Proxy([sys.argv[2], "experimental-image-proxy", *flag.split()])
    assert p.open(sys.argv[1]) == 1, flag
    assert p.close() == 0, flag
p = Proxy([sys.argv[2], "--debug", "--command-timeout", "90s", "--insecure-policy",
           "--registries-conf", "/etc/containers/registries.conf", "experimental-image-proxy"])
assert p.open(sys.argv[1]) == 1
assert p.open(sys.argv[3]) == 2
assert p.close() == 0
# Debian's skopeo does not know this one.
p = Proxy([sys.argv[2], "experimental-image-proxy", "--user-agent-prefix=x/1", "--override-os=linux"])
assert p.open(sys.argv[3]) == 1
assert p.close() == 0
X
}
@test "flags that contradict each other: the same errors as skopeo 1.22's" {
    python3 - "$NEWER" "$OURS" "${spec}localhost/two" << 'X'
import os, subprocess, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
def first_words(program, flags):
    p = Proxy([*program.split(), *flags.split()], initialize=False, stderr=subprocess.DEVNULL)
    try:
        said = p.call("Initialize"), p.call("OpenImage", sys.argv[3])
    except (EOFError, ConnectionError):
        said = None
    p.sock.close()
    return said, p.process.wait() == 0
for flags in ("--creds=a:b --no-creds", "--username=x --no-creds", "--creds=a:b --username=x", "--username=x", "--password=x",
              "--creds=", "--creds=:b", "--no-creds=true", "--no-creds=x", "--username=x --password=y", "--creds=a",
              "--registry-token=x --creds=a:b", "--tls-verify=x", "--tls-verify=f", "--insecure-policy=false", "--sockfd=99"):
    a, b = (first_words(program, flags) for program in sys.argv[1:3])
    assert a == b, (flags, a, b)
X
}
# bats test_tags=asan
@test "splitfd pull of an image with a docker manifest: through a proxy as from the store" {
    repo_init "$SCRATCH/docker-a"
    store_pull 0 "$SCRATCH/docker-a" "$STORE" localhost/docker tag
    local said
    said="docker   $(suite_podman debian "$STORE" -- image inspect --format '{{.Digest}}' localhost/docker), converted"
    assert_same "$said" "$(grep ^docker <<< "$output")"
    for skopeo in "$SCRATCH/bin-newer/skopeo" "$SCRATCH/bin-debian/skopeo"; do
        rm -rf "$SCRATCH/docker-b"
        repo_init "$SCRATCH/docker-b"
        run_splitfd 0 pull --repo "$SCRATCH/docker-b" --skopeo "$skopeo" "${spec}localhost/docker" tag
        assert_same "$said" "$(grep ^docker <<< "$output")"
        assert_fsck_clean "$SCRATCH/docker-b"
        assert_layers_exact "$SCRATCH/docker-b" tag
        # A proxy gives the converted config, the store the original one.
        assert_same "$(contents "$SCRATCH/docker-a" | grep -vE 'manifest|config')" \
            "$(contents "$SCRATCH/docker-b" | grep -vE 'manifest|config')"
    done
}
# bats test_tags=asan, tsan
@test "splitfd pull of oci:, docker-archive:, oci-archive: and docker:// gives what containers-storage gives" {
    repo_init "$SCRATCH/native"
    store_pull 0 "$SCRATCH/native" "$STORE" localhost/two tag
    for skopeo in "$(PATH=/usr/bin:/bin command -v skopeo)" "$SCRATCH/bin-newer/skopeo"; do
        for reference in "oci:$SCRATCH/layout:two" "docker-archive:$SCRATCH/docker.tar" \
            "oci-archive:$SCRATCH/oci.tar:two" "docker://127.0.0.1:$PORT/two:latest"; do
            rm -rf "$SCRATCH/r"
            repo_init "$SCRATCH/r"
            run_splitfd 0 pull --repo "$SCRATCH/r" --skopeo "$skopeo" --tls-verify=false "$reference" tag
            assert_fsck_clean "$SCRATCH/r"
            assert_same "$(contents "$SCRATCH/native" | grep -v manifest)" "$(contents "$SCRATCH/r" | grep -v manifest)"
        done
    done
}
# bats test_tags=asan, tsan
@test "the smallest number of descriptors is enough" {
    run python3 - "$spec" << 'X'
import os, resource, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
p = Proxy(["prlimit", "--nofile=64:64", *os.environ["OURS"].split()])
i = p.open(sys.argv[1] + "localhost/two")
for layer in p.layers(i):
    assert sha256(p.blob(i, layer["digest"], layer["size"])) == layer["digest"]
sys.exit(p.close())
X
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
}
@test "every call of the Rust crate has the same answer from skopeo 1.22" {
    client=$("$LIB/proxy-client/build") || skip "needs cargo and the crate containers-image-proxy"
    for image in "${spec}localhost/two" "oci:$SCRATCH/layout:two"; do
        "$client" "$SCRATCH/bin-newer/skopeo" "$image" "${image/two/nope}" > "$SCRATCH/answers-a"
        "$client" "$SCRATCH/bin-debian/skopeo" "$image" "${image/two/nope}" > "$SCRATCH/answers-b"
        diff "$SCRATCH/answers-a" "$SCRATCH/answers-b"
    done
}
# bats test_tags=asan
@test "random conversations have the same answers from skopeo 1.22" {
    python3 "$LIB/proxy-record.py" --seed "${PROXY_SEED:-1}" --count "${PROXY_COUNT:-500}" \
        --reference "${spec}localhost/one" --reference "${spec}localhost/two:latest" \
        --reference "${spec}localhost/docker:latest" --reference "${spec}localhost/nope" --reference "oci:$SCRATCH/layout:two" \
        --reference "oci:$SCRATCH/layout:none" --reference bogus:x --reference nocolon \
        --reference "${spec}UPPER" -- $NEWER -- $OURS --skopeo "$SCRATCH/bin-newer/skopeo"
}
@test "policy.json: the same verdicts as skopeo 1.22" {
    python3 "$LIB/proxy-policy.py" "$STORE" "$(store_image_id "$STORE" localhost/two:latest)" "$SCRATCH" -- \
        $NEWER -- $OURS --skopeo "$SCRATCH/bin-newer/skopeo"
}
@test "policy.json in the home directory, also where HOME does not name it: the same verdicts as skopeo's" {
    local home word said
    mkdir -p "$SCRATCH/root/.config/containers"
    echo '{"default":[{"type":"reject"}]}' > "$SCRATCH/root/.config/containers/policy.json"
    # verdict HOME PROGRAM…: what root gets, whose home directory is that one.
    verdict() {
        local set=HOME=$1
        [ "$1" != unset ] || set=-uHOME
        shift
        unshare --mount --propagation private sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh \
            "$SCRATCH/root" "$(getent passwd 0 | cut -d: -f6)" env "$set" "$@" > /dev/null 2>&1 && echo accepted || echo rejected
    }
    for home in unset "" "$SCRATCH/root" "$SCRATCH/nothing"; do
        rm -rf "$SCRATCH/copied"
        word=$(verdict "$home" /usr/bin/skopeo copy -q "${spec}localhost/two" "dir:$SCRATCH/copied")
        said+=" $word"
        assert_same "$word" "$(verdict "$home" python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
from proxy_client import *
Proxy(sys.argv[3:]).open(sys.argv[2])' "$LIB" "${spec}localhost/two" $OURS)"
    done
    assert_same " rejected rejected rejected accepted" "$said"
}
@test "policy.json with signatures and an old skopeo, which does not check them: refused" {
    echo '{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/nonexistent"}]}' > "$SCRATCH/signed.json"
    run python3 - "$spec" "$SCRATCH/signed.json" << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
p = Proxy([*os.environ["OURS"].split(), "--skopeo", "/usr/bin/skopeo", "--policy", sys.argv[2]])
print(p.call("OpenImage", sys.argv[1] + "localhost/two"))
X
    assert_match "does not check them" "$output"
}
@test "policy.json for what an old skopeo has opened, which evaluates none: the same verdicts as skopeo 1.22's" {
    skopeo copy -q --insecure-policy "oci:$SCRATCH/layout:two" "dir:$SCRATCH/dir"
    tar -C "$SCRATCH/layout" -cf "$SCRATCH/plain.tar" .
    python3 "$LIB/proxy-verdicts.py" "$SCRATCH" "127.0.0.1:$PORT" "oci:$SCRATCH/layout:two" "dir:$SCRATCH/dir" \
        "oci-archive:$SCRATCH/plain.tar" "docker-archive:$SCRATCH/docker.tar" "docker://127.0.0.1:$PORT/two" \
        "docker://127.0.0.1:$PORT/none" -- $NEWER -- $OURS --skopeo /usr/bin/skopeo
}

@test "pull --policy with an old skopeo: rejected and accepted as by a new one" {
    local policy skopeo
    repo_init "$SCRATCH/policed"
    jq -n '{default: [{type: "reject"}], transports: {dir: {"": [{type: "insecureAcceptAnything"}]}}}' > "$SCRATCH/no.json"
    jq -n --arg d "$SCRATCH/layout" \
        '{default: [{type: "reject"}], transports: {oci: {($d): [{type: "insecureAcceptAnything"}]}}}' > "$SCRATCH/yes.json"
    for skopeo in /usr/bin/skopeo "$SCRATCH/bin-newer/skopeo"; do
        run_splitfd '1|4' pull --repo "$SCRATCH/policed" --skopeo "$skopeo" --policy "$SCRATCH/no.json" \
            "oci:$SCRATCH/layout:two" no
        assert_match "rejected by policy" "$errors"
        [ ! -L "$SCRATCH/policed/streams/refs/oci/no" ]
        run_splitfd 0 pull --repo "$SCRATCH/policed" --skopeo "$skopeo" --policy "$SCRATCH/yes.json" \
            "oci:$SCRATCH/layout:two" yes
    done
    rm -rf "$SCRATCH/policed"
}

@test "pull --skopeo of an image of the store: its transport and the store's options go along" {
    local repo=$SCRATCH/by-skopeo
    repo_init "$repo"
    run_splitfd 0 pull --repo "$repo" --skopeo "$SCRATCH/bin-newer/skopeo" --root "$STORE/root" \
        --runroot "$STORE/run" --storage-driver overlay localhost/two a
    printf '[storage]\ndriver="overlay"\ngraphroot="%s"\nrunroot="%s"\n' "$STORE/root" "$STORE/run" > "$SCRATCH/storage.conf"
    CONTAINERS_STORAGE_CONF=$SCRATCH/storage.conf run_splitfd 0 pull --repo "$repo" \
        --skopeo "$SCRATCH/bin-newer/skopeo" localhost/two b
    assert_same "$(readlink "$repo/streams/refs/oci/a")" "$(readlink "$repo/streams/refs/oci/b")"
    run_splitfd 2 pull --repo "$repo" --skopeo "$SCRATCH/bin-newer/skopeo" --storage-driver overlay localhost/two c
    assert_match "name the store by --root" "$errors"
    rm -rf "$repo"
}

@test "the version that is announced: 0.2.8, or 0.2.9 by an option or a variable" {
    announced() { python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
from proxy_client import *
p = Proxy(sys.argv[3:])
i = p.open(sys.argv[2])
fds = p.call("OpenVarlinkSocket", i)[1]
print(p.version, len(fds))' "$LIB" "${spec}localhost/two" $OURS "$@"; }
    assert_same "0.2.8 1" "$(announced)"
    assert_same "0.2.9 1" "$(announced --announce 0.2.9)"
    assert_same "0.2.9 1" "$(SPLITFD_PROXY_VERSION=0.2.9 announced)"
    assert_same "0.2.8 1" "$(SPLITFD_PROXY_VERSION=0.2.9 announced --announce 0.2.8)"
    run_splitfd 2 experimental-image-proxy --announce 0.3.0
    assert_match "takes 0.2.8 or 0.2.9" "$errors"
}

@test "references in brackets, and absent images: as with skopeo 1.22" {
    # Opening it under another name of its driver leaves a directory there.
    mkdir -p "$SCRATCH/brackets"
    cp -a "$STORE/root" "$SCRATCH/brackets/"
    python3 - "$SCRATCH/brackets" "containers-storage:" $NEWER -- $OURS << 'X'
import os, shutil, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
store, transport, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
programs = rest[:rest.index("--")], rest[rest.index("--") + 1:]
where = store + "/root+" + store + "/run"
for name in ("two", "none"):
    shutil.rmtree(store + "/root/overlay2", ignore_errors=True)
    for brackets in ("[]", "[@" + where + "]", "[overlay@]", "[@]", "[:]", "[" + where + "]", "[overlay@" + where + "]",
                     "[overlay@" + where + ":foo=bar]",
                     "[overlay@" + where + ":overlay.bogus=1]", "[overlay@" + where + ":overlay.mountopt=nodev]",
                     "[overlay@" + where + ":additionalimagestore=/nonexistent]", "[overlay@relative]",
                     "[overlay2@" + where + "]"):
        answers = []
        for program in programs:
            p = Proxy(program + ["--insecure-policy"])
            answers.append([(r["success"], r["value"] and 1) for r in
                            (p.call(m, transport + brackets + "localhost/" + name)[0] for m in ("OpenImage", "OpenImageOptional"))])
            p.close()
        assert answers[0] == answers[1], (name, brackets, answers)
X
}

@test "a local list of manifests: what skopeo makes of it, also where the list is signed for or rejected" {
    local lists=$SCRATCH/lists verdict
    mkdir -p "$lists"
    cp -a "$STORE/root" "$lists/"
    rm -rf "$lists/root/libpod" "$lists"/root/db.sql*
    mkdir -p "$lists/run" "$lists/tmp"
    suite_podman debian "$lists" -- manifest create localhost/list > /dev/null
    suite_podman debian "$lists" -- manifest add localhost/list containers-storage:localhost/two > /dev/null
    jq -n '{default: [{type: "reject"}]}' > "$SCRATCH/no.json"
    jq -n '{default: [{type: "insecureAcceptAnything"}]}' > "$SCRATCH/any.json"
    jq -n '{default: [{type: "signedBy", keyType: "GPGKeys", keyPath: "/nonexistent"}]}' > "$SCRATCH/signed.json"
    for verdict in no any signed; do
        python3 - "containers-storage:$(store_spec "$lists")localhost/list" "$SCRATCH/$verdict.json" \
            $NEWER -- $OURS --skopeo "$SCRATCH/bin-newer/skopeo" << 'X'
import os, sys
sys.path.insert(0, os.environ["LIB"])
from proxy_client import *
reference, policy, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
answers = []
for program in rest[:rest.index("--")], rest[rest.index("--") + 1:]:
    p = Proxy(program + ["--policy", policy])
    said = [p.call("OpenImage", reference)[0]]
    if said[0]["success"]:
        manifest, fds = p.call("GetManifest", said[0]["value"])
        said.append((manifest["success"], manifest["error"], len(fds)))
    answers.append(said)
    p.close()
assert answers[0] == answers[1], answers
print(answers[0])
X
    done
}

# bats test_tags=asan, tsan
@test "hostile clients" {
    python3 "$LIB/proxy-hostile.py" "${spec}localhost/two" $OURS
}
# bats test_tags=asan, tsan
@test "hostile clients of an image that the real skopeo has" {
    PROXY_MANY=1000 python3 "$LIB/proxy-hostile.py" "oci:$SCRATCH/layout:two" $OURS --skopeo "$SCRATCH/bin-newer/skopeo"
}
# bats test_tags=asan, tsan
@test "a real skopeo that hangs or dies is an error in time, and the session goes on" {
    local skopeo
    for skopeo in /usr/bin/skopeo "$SCRATCH/bin-newer/skopeo"; do
        python3 "$LIB/proxy-peer-dies.py" "oci:$SCRATCH/layout:two" "${spec}localhost/two" $OURS --skopeo "$skopeo"
    done
}
@test "a client that just goes away, at any time: the real skopeo leaves nothing of an archive in /var/tmp" {
    local skopeo
    skopeo copy -q --insecure-policy "oci:$SCRATCH/layout:two" "oci:$SCRATCH/gone:client-gone"
    tar -C "$SCRATCH/gone" -czf "$SCRATCH/gone.tar" .
    for skopeo in /usr/bin/skopeo "$SCRATCH/bin-newer/skopeo"; do
        python3 "$LIB/proxy-leave.py" "oci-archive:$SCRATCH/gone.tar:client-gone" \
            "docker-archive:$SCRATCH/docker.tar" $OURS --skopeo "$skopeo"
        nothing_unpacked client-gone
    done
}
@test "under the name skopeo, everything else is the real one" {
    assert_same "$(skopeo --version)" "$(PATH=$SCRATCH/bin-debian:$PATH skopeo --version)"
    assert_same "$(skopeo copy --help)" "$(PATH=$SCRATCH/bin-debian:$PATH skopeo copy --help)"
    assert_same "$(skopeo inspect "oci:$SCRATCH/layout:two")" \
        "$(PATH=$SCRATCH/bin-debian:$PATH skopeo inspect "oci:$SCRATCH/layout:two")"
    run env PATH="$SCRATCH/bin-debian:$PATH" skopeo nonsense
    [ "$status" -ne 0 ]
    run env PATH="$SCRATCH/bin-debian" skopeo --version
    [ "$status" -eq 3 ]
    run env SPLITFD_SKOPEO="$SCRATCH/bin-debian/skopeo" "$SCRATCH/bin-debian/skopeo" --version
    assert_match "splitfd itself" "$output"
    # A wrapper of that name which starts splitfd is passed over.
    mkdir -p "$SCRATCH/bin-wrapper"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$SCRATCH/bin-debian/skopeo" > "$SCRATCH/bin-wrapper/skopeo"
    chmod +x "$SCRATCH/bin-wrapper/skopeo"
    assert_same "$(skopeo --version)" "$(PATH=$SCRATCH/bin-wrapper:$PATH skopeo --version)"
}
