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

# A registry on loopback at $PORT; with a password file, for its users only. $SCRATCH/home is a HOME
# of clients that are to find it.
proxy_registry() { # [PASSWORDS]
    export PORT=$((20000 + RANDOM % 10000))
    mkdir -p "$SCRATCH/registry" "$SCRATCH/home/.config/containers"
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\nlog: {level: error}\n' \
        "$SCRATCH/registry" "$PORT" > "$SCRATCH/registry.yml"
    [ -z "${1:-}" ] || printf 'auth: {htpasswd: {realm: test, path: "%s"}}\n' "$1" >> "$SCRATCH/registry.yml"
    docker-registry serve "$SCRATCH/registry.yml" > "$SCRATCH/registry.log" 2>&1 3>&- &
    echo $! > "$SCRATCH/registry.pid"
    printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$PORT" \
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
registry_drop() { [ ! -e "$SCRATCH/registry.pid" ] || kill "$(cat "$SCRATCH/registry.pid")" || true; }

# Names of streams and images, and what each layer's name means. cfsctl's order of a manifest's
# references is random, so the manifest's own stream is not compared.
contents() { # REPO
    (cd "$1" && ls images && for s in streams/*:*; do
        case $s in *manifest*) echo "$s" ;; *layer*) echo "$s $(readlink "$s")" ;; *) echo "$s" ;; esac
    done)
}
