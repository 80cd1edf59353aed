#!/usr/bin/env bats
# The store reader beside podman and skopeo: the same image for the same words, the exact tar of each
# layer, container-libs' locks.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/registry
load ../lib/store

setup_file() {
    scratch_make
    [ "$(id -u)" -eq 0 ] && command -v buildah > /dev/null || return 0
    store=$SCRATCH/a
    export store
    for s in a v add primary; do store_make "$SCRATCH/$s"; done
    build overlay a localhost/one 3
    build overlay a docker.io/library/two 1
    build overlay a quay.io/some/three:v1 2
    build overlay a quay.io/x/both 1
    build overlay a quay.io/y/both 1
    build vfs v localhost/one 3
    build overlay add localhost/far 2
    skopeo copy --quiet --insecure-policy "containers-storage:$(store_spec "$store")localhost/one" \
        "oci-archive:$SCRATCH/one.tar:localhost/one:latest" < /dev/null 3>&-
}
teardown_file() { scratch_drop; }
setup() {
    require_root
    require_program podman skopeo buildah jq python3
    store=$SCRATCH/a
}

# build DRIVER STORE NAME LAYERS: an image of small layers from nothing.
build() {
    local driver=$1 s=$SCRATCH/$2 name=$3 n=$4 base=scratch c m i
    for i in $(seq "$n"); do
        c=$(bud "$s" "$driver" from --pull-never "$base")
        m=$(bud "$s" "$driver" mount "$c")
        mkdir -p "$m/usr"
        echo "$name $i" > "$m/usr/own$i"
        ln "$m/usr/own$i" "$m/usr/link$i"
        head -c $((i * 5000)) /dev/urandom > "$m/usr/data"
        bud "$s" "$driver" unmount "$c" > /dev/null
        bud "$s" "$driver" commit --quiet "$c" "$name" > /dev/null
        bud "$s" "$driver" rm "$c" > /dev/null
        base=$name
    done
}
bud() {
    local s=$1 driver=$2
    shift 2
    suite_buildah debian "$s" "$driver" -- "$@" 2> /dev/null < /dev/null 3>&-
}

tool() { timeout 60 "$BUILD/tests/lib/store-tool" "$@" 3>&-; }
image_id() { store_image_id "$1" "$2" "${3:-overlay}"; }
pod() { # STORE ARGUMENT…
    local s=$1
    shift
    suite_podman debian "$s" -- "$@" 3>&-
}

# fails CODE PATTERN ARGUMENT…: the tool ends with that code and one sentence that matches.
fails() {
    local want=$1 pattern=$2 got=0
    shift 2
    tool "$@" > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err" < /dev/null || got=$?
    echo "store-tool $* -> $got: $(cat "$BATS_TEST_TMPDIR/err")"
    [ "$got" -eq "$want" ] && grep -qE "$pattern" "$BATS_TEST_TMPDIR/err"
}

# The tar of each layer of an image has its diff_id.
exact() { # ARGUMENTS OF THE TOOL… REFERENCE
    local ref=${!#} got
    got=$(tool "${@:1:$#-1}" tars "$ref")
    assert_same "$(tool "${@:1:$#-1}" show "$ref" | jq -r '.layers[].diffId')" "$got"
    [ -n "$got" ]
}

@test "podman and we find the same image" {
    id=$(image_id "$store" localhost/one:latest)
    for name in one localhost/one one:latest one:nope "$id" "${id:0:12}" "${id:0:4}" "sha256:$id" two docker.io/two \
        docker.io/library/two library/two three three:v1 some/three:v1 quay.io/some/three:v1 quay.io/some/three \
        x/one nope One "sha256:${id:0:10}"; do
        theirs=$(pod "$store" image inspect --format '{{.Id}}' "$name" 2> /dev/null) || theirs=none
        ours=$(tool --root "$store/root" show "$name" 2> /dev/null | jq -r .id) || ours=none
        echo "$name: podman ${theirs:0:12}, we ${ours:0:12}"
        [ "${theirs:-none}" = "${ours:-none}" ]
    done
}

# The same image as podman of a suite; counts those that were found.
same_image() { # SUITE STORE NAME
    local theirs ours
    theirs=$(suite_podman "$1" "$2" -- image inspect --format '{{.Id}}' "$3" 2> /dev/null 3>&-) || theirs=none
    ours=$(tool --root "$2/root" show "$3" 2> /dev/null | jq -r .id) || ours=none
    echo "$1 $3: podman ${theirs:0:12}, we ${ours:0:12}"
    [ "${theirs:-none}" = "${ours:-none}" ] || return 1
    [ "${ours:-none}" = none ] || found=$((found + 1))
}

@test "short names by registries.conf, and lists of manifests: the image of both suites' podman" {
    s=$SCRATCH/short
    store_make "$s"
    build overlay short localhost/one 1
    build overlay short localhost/two 1
    pod "$s" tag localhost/one localhost/clash localhost/debian quay.io/podman/stable search.example/s search.example/a/b:c
    pod "$s" tag localhost/two docker.io/library/debian docker.io/library/clash docker.io/library/s docker.io/a/b:c
    pod "$s" manifest create localhost/list containers-storage:localhost/two
    id=$(store_image_id "$s" localhost/list:latest)
    conf=$BATS_TEST_TMPDIR/registries.conf
    printf '%s\n' 'unqualified-search-registries = ["search.example", "docker.io"]' '[aliases]' \
        '"clash" = "docker.io/clash"' '"mine/x" = "search.example/a/b"' '"off" = ""' \
        '[[registry]]' 'location = "quay.io"' 'insecure = true' '[[registry.mirror]]' 'location = "m.example"' > "$conf"
    mkdir -p "$BATS_TEST_TMPDIR/home/.config/containers/registries.conf.d"
    printf '[aliases]\n"s" = "localhost/two"\n' > "$BATS_TEST_TMPDIR/home/.config/containers/registries.conf.d/0.conf"
    suites=debian
    "$LIB/peers" path suite > /dev/null && suites="debian newer"
    found=0 n=0
    for suite in $suites; do
        for name in debian containers-storage:debian podman:latest s a/b:c list "${id:0:12}" "containers-storage:s"; do
            same_image "$suite" "$s" "$name"
        done
        # Both suites' podman reads the drop-ins of /etc too then, which container-libs of 2026 does not:
        # they do not have these names.
        for name in clash containers-storage:clash mine/x:c a/b:c; do
            CONTAINERS_REGISTRIES_CONF=$conf same_image "$suite" "$s" "$name"
        done
        for name in s clash; do HOME=$BATS_TEST_TMPDIR/home same_image "$suite" "$s" "$name"; done
        n=$((n + 14))
        # Where a file is not valid, no short name is known.
        for wrong in '[[registry]]\nlocation = "a.example"\n[[registry]]\nlocation = "a.example"\nprefix = "b"\nblocked = true' \
            'short-name-mode = "perhaps"' '[[registry]]\nlocation = "https://a.example"' '[aliases]\n"x" = "y"'; do
            printf "$wrong\n" > "$BATS_TEST_TMPDIR/wrong.conf"
            for name in s "${id:0:12}" localhost/debian; do
                CONTAINERS_REGISTRIES_CONF=$BATS_TEST_TMPDIR/wrong.conf same_image "$suite" "$s" "$name"
            done
            n=$((n + 1))
            CONTAINERS_REGISTRIES_CONF=$BATS_TEST_TMPDIR/wrong.conf fails 2 "wrong.conf line [1-5]: " --root "$s/root" show s
        done
    done
    [ $found -eq $n ]
    # Where the file is wrong, names with a registry go on.
    echo '[[registry]' >> "$conf"
    CONTAINERS_REGISTRIES_CONF=$conf fails 2 "registries.conf line 11: ']' is missing" --root "$s/root" show debian
    CONTAINERS_REGISTRIES_CONF=$conf exact --root "$s/root" localhost/debian
}

@test "a local list with several platforms: pull --override-arch takes the image that buildah takes" {
    local container flags platform theirs out ids=
    s=$SCRATCH/platforms
    store_make "$s"
    build overlay platforms localhost/one 1
    container=$(suite_buildah debian "$s" -- from --pull-never localhost/one)
    suite_buildah debian "$s" -- config --arch arm64 --variant v8 "$container"
    suite_buildah debian "$s" -- commit -q "$container" localhost/arm > /dev/null
    pod "$s" manifest create localhost/list > /dev/null
    pod "$s" manifest add localhost/list containers-storage:localhost/one > /dev/null
    pod "$s" manifest add localhost/list containers-storage:localhost/arm > /dev/null
    splitfd init --insecure --repo "$BATS_TEST_TMPDIR/r" > /dev/null
    while IFS=: read -r platform flags; do
        theirs=$(suite_buildah debian "$s" -- from --pull-never $platform localhost/list 3>&-)
        theirs=$(suite_buildah debian "$s" -- inspect --format '{{.FromImageID}}' "$theirs")
        out=$(splitfd pull --repo "$BATS_TEST_TMPDIR/r" --no-image --root "$s/root" --runroot "$s/run" $flags localhost/list x)
        assert_same "sha256:$theirs" "$(awk '$1 == "config" { print $2 }' <<< "$out")"
        ids+=" $theirs"
    done << 'X'
:
--arch arm64:--override-arch arm64
--platform linux/arm64/v8:--override-arch arm64 --override-variant v8
--platform linux/amd64:--override-os linux --override-arch amd64
X
    assert_same 2 "$(xargs -n 1 <<< "$ids" | sort -u | wc -l)"
    run_splitfd 3 pull --repo "$BATS_TEST_TMPDIR/r" --root "$s/root" --runroot "$s/run" --override-arch s390x localhost/list x
    assert_match "none of its images for linux/s390x" "$errors"
}

@test "skopeo and we find the same image, and the same bytes" {
    id=$(image_id "$store" localhost/one:latest)
    digest=$(tool --root "$store/root" show one | jq -r .manifestDigest)
    found=0 none=$(sha256sum < /dev/null)
    for name in one localhost/one localhost/one:latest "$id" "${id:0:5}" "${id:0:2}" "${id:0:3}" "@$id" "@${id:0:6}" \
        "localhost/one@$id" "localhost/one@${id:0:5}" "localhost/two@$id" "sha256:$id" two "localhost/one@$digest" \
        "localhost/one:zzz@$digest" "localhost/other@$digest" "@$digest" localhost/one@ One quay.io/some/three; do
        ref=containers-storage:$(store_spec "$store")$name
        for what in --raw "--config --raw"; do
            theirs=$(skopeo inspect $what "$ref" 2> /dev/null | sha256sum) || true
            key=manifest
            [ "$what" = --raw ] || key=config
            ours=$(tool --transport show "$ref" 2> /dev/null | jq -rj ".$key // empty" | sha256sum) || true
            echo "$name $what"
            # Neither has an answer, or both have the same; the latter is counted.
            if [ "$ours" = "$none" ]; then
                [ "$theirs" = "$none" ]
            else
                assert_same "$theirs" "$ours"
                found=$((found + 1))
            fi
        done
    done
    [ "$found" -gt 15 ]
}

@test "an ambiguous word is an error that lists the candidates" {
    a=$(image_id "$store" quay.io/x/both:latest) b=$(image_id "$store" quay.io/y/both:latest)
    fails 2 "2 images fit.*${a:0:12}.*" --root "$store/root" show both
    fails 2 "${b:0:12}" --root "$store/root" show both
    [ "$(tool --root "$store/root" show x/both | jq -r .id)" = "$a" ]
    # Prefixes: copies of a record under two IDs that begin alike.
    mkdir -p "$BATS_TEST_TMPDIR/p/overlay-images"
    jq '[.[0], .[0]] | .[0].id = "abc1" + .[0].id[4:] | .[1].id = "abc2" + .[1].id[4:] | .[0].names = null' \
        "$store/root/overlay-images/images.json" > "$BATS_TEST_TMPDIR/p/overlay-images/images.json"
    fails 2 "abc: 2 images fit: abc1.*, abc2.*" --root "$BATS_TEST_TMPDIR/p" show abc
    fails 3 "no such image" --root "$BATS_TEST_TMPDIR/p" show abd
}

@test "all images are listed" {
    assert_same "$(jq -r '.[].id' "$store/root/overlay-images/images.json" | sort)" \
        "$(tool --root "$store/root" list | jq -r '.[].id' | sort)"
}

@test "each layer's tar is exact: overlay, vfs, both suites" {
    for name in one two three:v1; do exact --root "$store/root" "$name"; done
    # The driver is known by what is there.
    exact --root "$SCRATCH/v/root" one
    exact "containers-storage:$(store_spec "$SCRATCH/v" vfs)localhost/one"
    fails 3 "other driver" --root "$SCRATCH/v/root" --driver overlay show one
    require_newer
    for driver in overlay vfs; do
        store_make "$SCRATCH/n-$driver"
        suite_podman newer "$SCRATCH/n-$driver" $driver -- load -q -i "$SCRATCH/one.tar" 3>&-
        exact --root "$SCRATCH/n-$driver/root" one
    done
}

@test "an additional image store, and layers that are only there" {
    fails 3 "no such image" --root "$store/root" show far
    exact --root "$store/root" --opt "overlay.imagestore=$SCRATCH/add/root" far
    exact "containers-storage:[overlay@$store/root+$store/run:overlay.imagestore=$SCRATCH/add/root]localhost/far"
    fails 1 "additional image store.*cannot be opened" --root "$store/root" --opt "imagestore=$SCRATCH/none" show one
    # podman finds it likewise.
    theirs=$(pod "$store" --storage-opt "overlay.imagestore=$SCRATCH/add/root" image inspect --format '{{.Id}}' far)
    [ "$(tool --root "$store/root" --opt "imagestore=$SCRATCH/add/root" show far | jq -r .id)" = "$theirs" ]
    # A child made in the primary store of an image of the additional one.
    s=$SCRATCH/primary
    add="overlay.imagestore=$SCRATCH/add/root"
    c=$(bud "$s" overlay --storage-opt "$add" from --pull-never localhost/far)
    m=$(bud "$s" overlay --storage-opt "$add" mount "$c")
    echo child > "$m/child"
    bud "$s" overlay --storage-opt "$add" unmount "$c"
    bud "$s" overlay --storage-opt "$add" commit --quiet "$c" localhost/child
    [ "$(jq length "$s/root/overlay-layers/layers.json")" -lt 3 ]
    exact --root "$s/root" --opt "$add" child
    fails 4 "missing in the store" --root "$s/root" show child
}

@test "storage.conf leads to the store" {
    mkdir -p "$BATS_TEST_TMPDIR/etc"
    conf=$BATS_TEST_TMPDIR/etc/storage.conf
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n[storage.options]\nadditionalimagestores = ["%s"]\n' \
        "$store/root" "$store/run" "$SCRATCH/add/root" > "$conf"
    theirs=$(CONTAINERS_STORAGE_CONF=$conf skopeo inspect --raw containers-storage:localhost/far)
    assert_same "$theirs" "$(CONTAINERS_STORAGE_CONF=$conf tool show far | jq -rj .manifest)"
    CONTAINERS_STORAGE_CONF=$conf exact one
    # A reference that names the store has nothing of it, the driver neither.
    sed 's/"overlay"/"vfs"/; /additional/d' "$conf" > "$conf.vfs"
    CONTAINERS_STORAGE_CONF=$conf.vfs fails 3 "no vfs store here" show one
    for ref in "containers-storage:[$store/root+$store/run]localhost/one" "containers-storage:[+$store/run]localhost/one"; do
        theirs=$(CONTAINERS_STORAGE_CONF=$conf.vfs skopeo inspect --raw "$ref" 2> /dev/null)
        assert_same "$theirs" "$(CONTAINERS_STORAGE_CONF=$conf.vfs tool show "$ref" | jq -rj .manifest)"
        CONTAINERS_STORAGE_CONF=$conf.vfs STORAGE_DRIVER=vfs STORAGE_OPTS=imagestore=/nowhere exact "$ref"
    done
    echo 'graphroot = "/twice"' >> "$conf"
    sed -i 's/^\[storage.options\]$/graphroot = "x"/' "$conf"
    CONTAINERS_STORAGE_CONF=$conf fails 2 "storage.conf line 5: storage.graphroot is set a second time" show one
}

@test "a split store: images apart, tar-split in graphroot" {
    require_newer
    s=$SCRATCH/split
    store_make "$s"
    mkdir -p "$s/images"
    "$LIB/newer" podman --help | grep -q -- --imagestore || skip "needs a podman with --imagestore"
    suite_podman newer "$s" -- --imagestore "$s/images" load -q -i "$SCRATCH/one.tar" 3>&-
    [ "$(jq length "$s/images/overlay-images/images.json")" -eq 1 ]
    exact --root "$s/root" --imagestore "$s/images" one
    # Read alone, the image store has no tar-split.
    fails 4 "no tar-split" --root "$s/images" tars one
}

@test "an ID-mapped copy of the top layer does not get in the way" {
    s=$SCRATCH/mapped
    store_make "$s"
    build overlay mapped localhost/m 2
    require_newer
    _CONTAINERS_OVERLAY_DISABLE_IDMAP=yes suite_podman newer "$s" -- create --uidmap 0:100000:1000 \
        --gidmap 0:100000:1000 --network none --cgroups disabled m /usr/own1 3>&-
    images=$s/root/overlay-images/images.json
    copy=$(jq -r '.[]["mapped-layers"][0]? // empty' "$images")
    [ -n "$copy" ]
    exact --root "$s/root" m
    # The copy itself, as if it were the top layer: its files are in its lowers.
    jq -c --arg c "$copy" 'map(if .names then .layer = $c else . end)' "$images" > "$images.new"
    mv "$images.new" "$images"
    exact --root "$s/root" m
}

@test "a hundred layers and little room for descriptors" {
    s=$SCRATCH/deep
    "$LIB/many-layers.py" "$SCRATCH/layout" 100
    store_load debian "$SCRATCH/layout:t" "$s" localhost/deep
    (
        ulimit -n 64
        exact --root "$s/root" deep
    )
    [ "$(tool --root "$s/root" tars deep | wc -l)" -eq 100 ]
    strace -f -e trace=fcntl -o "$BATS_TEST_TMPDIR/trace" "$BUILD/tests/lib/store-tool" --root "$s/root" show deep > /dev/null
    [ "$(grep -c 'F_OFD_SETLK,' "$BATS_TEST_TMPDIR/trace")" -eq 2 ]
}

@test "what is no image is refused by name" {
    s=$SCRATCH/list
    store_make "$s"
    build overlay list localhost/m 1
    pod "$s" manifest create localhost/list:latest
    fails 3 "list of manifests, and the store has none of its images" --root "$s/root" show list
    fails 4 "list of manifests" --transport --root "$s/root" show localhost/list
    exact --root "$s/root" m
    # Other machines' images are none of ours; what fits two is said to.
    pod "$s" manifest add --arch other localhost/list containers-storage:localhost/m
    fails 3 "none of its images for linux/" --root "$s/root" show list
}

# hold COMMAND…: runs it in the background with a stdin that stays open until `let_go`.
hold() {
    mkfifo "$BATS_TEST_TMPDIR/stdin"
    timeout 60 "$@" < "$BATS_TEST_TMPDIR/stdin" > "$BATS_TEST_TMPDIR/held" 2> "$BATS_TEST_TMPDIR/held.err" 3>&- &
    held=$!
    exec {stdin}> "$BATS_TEST_TMPDIR/stdin"
    for _ in $(seq 100); do
        [ -s "$BATS_TEST_TMPDIR/held" ] && return 0
        sleep 0.1
    done
    return 1
}
let_go() { exec {stdin}>&-; }

@test "podman waits for our lock, and we for podman's" {
    s=$SCRATCH/lock
    store_make "$s"
    build overlay lock localhost/l 1
    for file in overlay-images/images.lock overlay-layers/layers.lock; do
        rm -f "$BATS_TEST_TMPDIR"/stdin "$BATS_TEST_TMPDIR"/held
        hold "$BUILD/tests/lib/store-tool" lock "$s/root" "$file"
        # Ours is shared: another of ours goes through.
        tool --root "$s/root" show l > /dev/null
        run -124 timeout 3 podman --root "$s/root" --runroot "$s/run" --storage-driver overlay rmi l 3>&- {stdin}>&-
        [ -n "$(image_id "$s" localhost/l:latest)" ]
        let_go
        wait "$held"
    done
    # podman's lock is a POSIX record lock, exclusive.
    python3 - "$s/root/overlay-layers/layers.lock" "$BUILD/tests/lib/store-tool" "$s/root" << 'END'
import fcntl, subprocess, sys, time
lock = open(sys.argv[1], "r+")
fcntl.lockf(lock, fcntl.LOCK_EX)
tool = subprocess.Popen([sys.argv[2], "--root", sys.argv[3], "show", "l"], stdout=subprocess.DEVNULL)
time.sleep(1)
assert tool.poll() is None, "did not wait"
fcntl.lockf(lock, fcntl.LOCK_UN)
assert tool.wait(10) == 0
END
    pod "$s" rmi l
    assert_silent image_id "$s" localhost/l:latest
}

@test "an open image holds no lock; a layer removed meanwhile is an error" {
    s=$SCRATCH/gone
    store_make "$s"
    build overlay gone localhost/g 2
    hold "$BUILD/tests/lib/store-tool" --wait --root "$s/root" tars g
    timeout 20 podman --root "$s/root" --runroot "$s/run" --storage-driver overlay images -q 3>&- {stdin}>&-
    timeout 20 podman --root "$s/root" --runroot "$s/run" --storage-driver overlay rmi g 3>&- {stdin}>&-
    let_go
    got=0
    wait "$held" || got=$?
    cat "$BATS_TEST_TMPDIR/held.err"
    [ "$got" -eq 3 ]
    grep -q "removed from the store meanwhile" "$BATS_TEST_TMPDIR/held.err"
}

@test "damaged stores: one clear error each" {
    good=$store/root bad=$SCRATCH/bad
    id=$(image_id "$store" localhost/one:latest)
    config=overlay-images/$id/=$(printf 'sha256:%s' "$id" | base64 -w 0)
    top=$(jq -r --arg i "$id" '.[] | select(.id == $i) | .layer' "$good/overlay-images/images.json")
    layers=overlay-layers/layers.json
    damage() { # CODE PATTERN COMMAND…
        local code=$1 pattern=$2
        shift 2
        rm -rf --one-file-system "$bad"
        mkdir "$bad"
        cp -a --reflink=auto "$good"/overlay-* "$bad"
        mkdir "$bad/overlay"
        cp -a "$good"/overlay/[0-9a-f]* "$good/overlay/l" "$bad/overlay"
        (cd "$bad" && "$@")
        fails "$code" "$pattern" --root "$bad" tars one
    }
    edit() { jq -c --arg id "$top" "$2" "$1" > "$1.new" && mv "$1.new" "$1"; }
    fifo() { rm -rf "$1" && mkfifo "$1"; }
    link() { mv "$1" "$1.real" && ln -s "$(basename "$1").real" "$1"; }
    damage 4 "layer $top is missing" edit $layers 'map(select(.id != $id))'
    damage 4 "layer $top is incomplete" edit $layers 'map(if .id == $id then .flags = {"incomplete": true} else . end)'
    damage 4 "by the store.*by the config" edit $layers 'map(if .id == $id then .["diff-digest"] = "sha256:" + .id else . end)'
    damage 4 "loop" edit $layers 'map(if .parent == null then .parent = $id else . end)'
    damage 4 "layers of it" edit $layers 'map(if .id == $id then del(.parent) else . end)'
    damage 4 "malformed" truncate -s -5 $layers
    damage 4 "malformed" truncate -s -5 overlay-images/images.json
    damage 4 "not a regular file" fifo overlay-images/images.json
    damage 4 "not a regular file" fifo $layers
    damage 1 "symbolic link" link $layers
    damage 1 "symbolic link" link overlay
    damage 4 "was changed" sh -c "printf x >> '$config'"
    damage 4 "was changed" sh -c "printf x >> overlay-images/$id/manifest"
    damage 4 "manifest is missing in .*podman pull restores it" rm "overlay-images/$id/manifest"
    damage 4 "is missing in .*podman pull restores it" rm "$config"
    damage 4 "no tar-split" rm "overlay-layers/$top.tar-split.gz"
    damage 4 "tar-split is not a regular file" fifo "overlay-layers/$top.tar-split.gz"
    damage 4 "directory is missing in the store; remove the image" rm -r "overlay/$top"
    damage 4 "diff is missing in the store; remove the image" rm -r "overlay/$top/diff"
    damage 4 "diff is not a directory" link "overlay/$top/diff"
    damage 4 "layers below is malformed" sh -c "rm -f overlay/$top/lower-layers; echo l/../../etc > overlay/$top/lower"
    damage 4 "" sh -c "printf x >> overlay/$top/diff/usr/own3"
}

teardown() {
    [ -z "${registry_pid:-}" ] || kill "$registry_pid"
}

@test "zstd:chunked layers, as files and in composefs form" {
    require_newer
    require_cfsctl
    require_program docker-registry
    registry_start "$SCRATCH/registry"
    # The library runs mkcomposefs, which cfsctl is under that name.
    mkdir -p "$SCRATCH/bin"
    cp "$CFSCTL" "$SCRATCH/bin/mkcomposefs"
    path=$SCRATCH/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    "$LIB/newer" skopeo copy --quiet --insecure-policy --dest-tls-verify=false --dest-compress-format zstd:chunked \
        "oci-archive:$SCRATCH/one.tar" "docker://$registry/one:latest" < /dev/null
    for composefs in true false; do
        s=$SCRATCH/chunked-$composefs
        store_make "$s"
        printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n%s\n%s\n%s\nuse_composefs = "%s"\n' \
            "$s/root" "$s/run" '[storage.options.pull_options]' 'enable_partial_images = "true"' \
            '[storage.options.overlay]' "$composefs" > "$s/storage.conf"
        CONTAINERS_STORAGE_CONF=$s/storage.conf "$LIB/newer" env PATH="$path" skopeo copy --quiet --insecure-policy \
            --src-tls-verify=false "docker://$registry/one:latest" containers-storage:localhost/one < /dev/null
        [ "$(jq '[.[] | select(.["toc-digest"])] | length' "$s/root/overlay-layers/layers.json")" -eq 3 ]
        found=$(ls -d "$s"/root/overlay/*/composefs-data 2> /dev/null | wc -l)
        [ "$composefs" = false ] || [ "$found" -eq 3 ]
        CONTAINERS_STORAGE_CONF=$s/storage.conf exact one
        # Its diff_ids are the registry's word: whoever stores the tar must check them.
        assert_same "true" "$(tool --root "$s/root" show one | jq -r '[.layers[].claimed] | all')"
    done
    top=$(jq -r '.[] | select(.parent == null) | .id' "$SCRATCH/chunked-true/root/overlay-layers/layers.json")
    rm "$SCRATCH/chunked-true/root/overlay-layers/$top/=enN0ZC1jaHVua2VkLW1hbmlmZXN0"
    fails 4 "table of contents is missing in the store" --root "$SCRATCH/chunked-true/root" tars one
}
