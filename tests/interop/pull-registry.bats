#!/usr/bin/env bats
# `splitfd pull docker://` from a registry that wants a password and TLS, that is silent or goes away
# in the middle, and by a skopeo that dies there. Real skopeo of both suites, a real registry.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/proxy

setup_file() {
    require_interop || return 0
    require_newer || return 0
    require_program docker-registry openssl perl || return 0
    scratch_make
    proxy_programs
    export SKOPEOS="/usr/bin/skopeo $SCRATCH/bin-newer/skopeo"
    two_tars
    "$LIB/make-layout.py" "$SCRATCH/layout" x "gzip:$SCRATCH/base.tar" "gzip:$SCRATCH/top.tar" > "$SCRATCH/layers"
    LAYERS=$(cut -d' ' -f1 "$SCRATCH/layers" | paste -sd'|')
    export LAYERS
    proxy_registry
    registry_push "oci:$SCRATCH/layout:x" image:latest --preserve-digests
    export OPEN_PORT=$PORT
    make_closed_registry
}
teardown_file() {
    registry_drop
    scratch_drop
}
teardown() { relay_drop; }

# At $CLOSED: user `somebody`, password `secret`, and a certificate that only $SCRATCH/certs knows.
make_closed_registry() {
    mkdir "$SCRATCH/certs" "$SCRATCH/no-certs"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$SCRATCH/key.pem" -out "$SCRATCH/certs/ca.crt" 2> /dev/null
    perl -e 'print "somebody:", crypt("secret", "\$2b\$05\$abcdefghijklmnopqrstuu"), "\n"' > "$SCRATCH/passwords"
    proxy_registry "$SCRATCH/passwords" "$SCRATCH/certs/ca.crt" "$SCRATCH/key.pem"
    registry_push "oci:$SCRATCH/layout:x" image:latest --preserve-digests --dest-creds somebody:secret
    printf '{"auths":{"127.0.0.1:%s":{"auth":"%s"}}}' "$PORT" "$(printf somebody:secret | base64)" > "$SCRATCH/auth.json"
    printf '{"auths":{"127.0.0.1:%s":{"auth":"%s"}}}' "$PORT" "$(printf somebody:guess | base64)" > "$SCRATCH/wrong.json"
    export CLOSED=docker://127.0.0.1:$PORT/image:latest
}

pull() { # CODE REFERENCE OPTION…: into a new repository, by $skopeo
    local code=$1 reference=$2
    shift 2
    rm -rf "$SCRATCH/r"
    repo_init "$SCRATCH/r"
    run_splitfd "$code" pull --repo "$SCRATCH/r" --skopeo "$skopeo" "$@" "$reference" tag
}
works() { # REFERENCE OPTION…
    pull 0 "$@"
    assert_fsck_clean "$SCRATCH/r"
    assert_layers_exact "$SCRATCH/r" tag
}
fails() { # TEXT REFERENCE OPTION…: one line with that text
    local text=$1
    shift
    pull '1|3|4' "$@"
    assert_match "^splitfd pull: '$1': [^"$'\n'"]*($text)[^"$'\n'"]*$" "$errors"
    assert_nothing_visible "$SCRATCH/r"
}

@test "--creds, --username and --authfile: works with the right ones, says what is wrong otherwise" {
    for skopeo in $SKOPEOS; do
        works "$CLOSED" --tls-verify=false --creds somebody:secret
        works "$CLOSED" --tls-verify=false --username somebody --password secret
        works "$CLOSED" --tls-verify=false --authfile "$SCRATCH/auth.json"
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false --no-creds
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false --creds somebody:guess
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false --creds nobody:secret
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false --authfile "$SCRATCH/wrong.json"
        # A token is taken instead of asking for one by name and password.
        fails 'unauthorized|authentication required' "$CLOSED" --tls-verify=false --registry-token guess
        fails 'password must be specified' "$CLOSED" --tls-verify=false --username somebody
    done
}
@test "--shared-blob-dir and --daemon-host are skopeo's" {
    skopeo copy -q --insecure-policy --dest-shared-blob-dir "$SCRATCH/blobs" "oci:$SCRATCH/layout:x" "oci:$SCRATCH/shared:x"
    for skopeo in $SKOPEOS; do
        works "oci:$SCRATCH/shared:x" --shared-blob-dir "$SCRATCH/blobs"
        fails 'no such file' "oci:$SCRATCH/shared:x"
        fails '127\.0\.0\.1:1' docker-daemon:x:latest --daemon-host http://127.0.0.1:1
    done
}
@test "--cert-dir: works with the registry's certificate, says what is wrong without" {
    for skopeo in $SKOPEOS; do
        works "$CLOSED" --creds somebody:secret --cert-dir "$SCRATCH/certs"
        works "$CLOSED" --creds somebody:secret --cert-dir "$SCRATCH/certs" --tls-verify
        fails 'certificate' "$CLOSED" --creds somebody:secret
        fails 'certificate' "$CLOSED" --creds somebody:secret --cert-dir "$SCRATCH/no-certs"
        fails 'certificate' "$CLOSED" --creds somebody:secret --tls-verify=true
    done
}
@test "--tls-verify=false: a registry without TLS works only with it" {
    for skopeo in $SKOPEOS; do
        works "docker://127.0.0.1:$OPEN_PORT/image:latest" --tls-verify=false
        fails 'HTTP response to HTTPS client' "docker://127.0.0.1:$OPEN_PORT/image:latest"
    done
}
@test "--policy: what it forbids is not pulled" {
    echo '{"default":[{"type":"reject"}]}' > "$SCRATCH/reject.json"
    skopeo=$SCRATCH/bin-newer/skopeo # an old one does not look at it
    fails 'reject' "docker://127.0.0.1:$OPEN_PORT/image:latest" --tls-verify=false --policy "$SCRATCH/reject.json"
    works "docker://127.0.0.1:$OPEN_PORT/image:latest" --tls-verify=false --insecure-policy
}

# A relay to the open registry that fails in the middle of the large layer; $RELAYED is the image there.
relay_start() { # stall|cut
    relay_drop
    "$LIB/faulty-relay.py" "$1" "$OPEN_PORT" 2000000 "$SCRATCH/relay" > "$SCRATCH/relay.log" 2>&1 3>&- &
    relay_pid=$!
    await $relay_pid test -e "$SCRATCH/relay.port"
    RELAYED=docker://127.0.0.1:$(cat "$SCRATCH/relay.port")/image:latest
}
relay_drop() {
    [ -z "${relay_pid:-}" ] || kill $relay_pid || true
    relay_pid=
    rm -f "$SCRATCH/relay".*
}
fails_in_a_layer() { # TEXT. Either one: the small layer's request may have come to nothing first.
    assert_match "^splitfd pull: layer ($LAYERS): ($1)[^"$'\n'"]*$" "$errors"
    assert_nothing_visible "$SCRATCH/r"
}

@test "a registry that falls silent in the middle of a blob: an error after --timeout" {
    for skopeo in $SKOPEOS; do
        relay_start stall
        SPLITFD_TIMEOUT=60 pull 1 "$RELAYED" --tls-verify=false --timeout 3
        [ -e "$SCRATCH/relay.failed" ]
        fails_in_a_layer 'skopeo has sent nothing for 3 seconds|skopeo moved no byte for 3 seconds'
    done
}
@test "a registry that goes away in the middle of a blob: an error" {
    for skopeo in $SKOPEOS; do
        relay_start cut
        SPLITFD_STDERR_OK=1 SPLITFD_TIMEOUT=100 pull 1 "$RELAYED" --tls-verify=false
        [ -e "$SCRATCH/relay.failed" ]
        errors=$(tail -n 1 <<< "$errors") # skopeo itself may have told of its attempts
        fails_in_a_layer 'skopeo: .*'
    done
}

# The process below PID that runs skopeo itself, not a wrapper.
skopeo_below() {
    local child
    for child in $(pgrep -P "$1"); do
        if [ "$(cat "/proc/$child/comm")" = skopeo ]; then echo "$child"; else skopeo_below "$child"; fi
    done
}
@test "a skopeo that is killed in the middle of a blob: an error that says so" {
    local pid child status
    for skopeo in $SKOPEOS; do
        relay_start stall
        rm -rf "$SCRATCH/r"
        repo_init "$SCRATCH/r"
        timeout 100 "$BUILD/splitfd" pull --repo "$SCRATCH/r" --skopeo "$skopeo" --tls-verify=false "$RELAYED" tag \
            > "$SCRATCH/said" 2>&1 < /dev/null 3>&- &
        pid=$!
        await $pid test -e "$SCRATCH/relay.failed"
        child=$(skopeo_below $pid)
        [ -n "$child" ]
        kill -KILL "$child"
        status=0
        wait $pid || status=$?
        errors=$(cat "$SCRATCH/said")
        echo "$errors"
        [ "$status" -ne 0 ] && [ "$status" -ne 124 ]
        fails_in_a_layer 'skopeo was killed by signal 9'
        works "docker://127.0.0.1:$OPEN_PORT/image:latest" --tls-verify=false
    done
}
