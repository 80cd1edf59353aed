# Programs and a registry for the tests of the image proxy.
# shellcheck shell=bash

# debian: splitfd before Debian's skopeo. newer: the newer skopeo alone. splitfd-newer: both.
proxy_programs() {
    local d
    for d in debian newer splitfd-newer; do mkdir -p "$SCRATCH/bin-$d"; done
    ln -s "$(readlink -f "$BUILD/splitfd")" "$SCRATCH/bin-debian/skopeo"
    printf '#!/bin/sh\nexec "%s" skopeo "$@"\n' "$LIB/newer" > "$SCRATCH/bin-newer/skopeo"
    printf '#!/bin/sh\nSPLITFD_SKOPEO="%s" exec "%s" "$@"\n' "$SCRATCH/bin-newer/skopeo" \
        "$SCRATCH/bin-debian/skopeo" > "$SCRATCH/bin-splitfd-newer/skopeo"
    chmod +x "$SCRATCH"/bin-*newer/skopeo
    export OURS="$BUILD/splitfd experimental-image-proxy" NEWER="$SCRATCH/bin-newer/skopeo experimental-image-proxy"
}

free_port() { python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'; }

# A registry on loopback at $PORT; with a password file, for its users only; with a certificate and
# its key, by TLS. $SCRATCH/home is a HOME of clients that are to find it.
proxy_registry() { # [PASSWORDS [CERTIFICATE KEY]]
    local port name
    port=$(free_port)
    name=$SCRATCH/registry-$port
    export PORT=$port
    mkdir -p "$name" "$SCRATCH/home/.config/containers"
    {
        printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "%s"}}\n' "$name"
        printf 'http: {addr: "127.0.0.1:%s"%s}\n' "$port" \
            "${2:+, tls: {certificate: \"$2\", key: \"$3\"\}}"
        [ -z "${1:-}" ] || printf 'auth: {htpasswd: {realm: test, path: "%s"}}\n' "$1"
    } > "$name.yml"
    docker-registry serve "$name.yml" > "$name.log" 2>&1 3>&- &
    echo $! > "$name.pid"
    printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$port" \
        > "$SCRATCH/home/.config/containers/registries.conf"
    cp -r /etc/containers/policy.json "$SCRATCH/home/.config/containers/"
}
# As soon as it listens.
registry_push() { # FROM NAME OPTION…
    local from=$1 name=$2
    shift 2
    for _ in $(seq 50); do
        skopeo copy -q --insecure-policy --dest-tls-verify=false "$@" "$from" "docker://127.0.0.1:$PORT/$name" \
            2> "$SCRATCH/push.log" && return
        sleep 0.1
    done
    cat "$SCRATCH/push.log" >&2
    return 1
}
registry_drop() { # all of them
    local pid
    for pid in "$SCRATCH"/registry-*.pid; do
        [ ! -e "$pid" ] || kill "$(cat "$pid")" || true
    done
}

# Two layers as tars: $SCRATCH/base.tar of 6 MB, of which nothing can be compressed, and a small one,
# $SCRATCH/top.tar.
two_tars() {
    local i dir=$SCRATCH/two-tars
    mkdir -p "$dir/base/usr/bin" "$dir/base/etc" "$dir/top/usr"
    head -c 5000000 /dev/urandom > "$dir/base/usr/bin/large"
    ln -s large "$dir/base/usr/bin/link"
    for i in $(seq 200); do head -c $((i * 37)) /dev/urandom > "$dir/base/etc/$i"; done
    head -c 100000 /dev/zero > "$dir/top/usr/zeros"
    head -c 3000 /dev/urandom > "$dir/top/usr/random"
    for i in base top; do tar -C "$dir/$i" --sort=name --numeric-owner -cf "$SCRATCH/$i.tar" .; done
    rm -r "$dir"
}

# Names of streams and images, and what each layer's name means. cfsctl's order of a manifest's
# references is random, so the manifest's own stream is not compared.
contents() { # REPO
    (cd "$1" && ls images && for s in streams/*:*; do
        case $s in *manifest*) echo "$s" ;; *layer*) echo "$s $(readlink "$s")" ;; *) echo "$s" ;; esac
    done)
}

# Debian's skopeo unpacks an archive in /var/tmp, whatever TMPDIR says; other tests may do so now, of
# other names.
nothing_unpacked() { # NAME
    local found
    # Another test's file may go meanwhile, and there may be none.
    found=$(grep -lsE "\"org.opencontainers.image.ref.name\": ?\"$1\"" /var/tmp/oci*/index.json) || true
    assert_empty "$found"
}
