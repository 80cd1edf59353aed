# shellcheck shell=bash

# A registry on loopback for one test: $registry is its address, $registry_pid its process.
registry_start() { # FOLDER
    registry=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' "$1" "$registry" \
        > "$BATS_TEST_TMPDIR/registry.yml"
    docker-registry serve "$BATS_TEST_TMPDIR/registry.yml" > "$BATS_TEST_TMPDIR/registry.log" 2>&1 < /dev/null 3>&- &
    registry_pid=$!
    for _ in $(seq 50); do
        python3 -c "import urllib.request; urllib.request.urlopen('http://$registry/v2/')" 2> /dev/null && return
        sleep 0.1
    done
    return 1
}
