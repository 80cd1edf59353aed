# A real user without root, with subordinate ids, for podman's rootless stores. After lib/common.
#
#   user_make   USER_NAME, USER_HOME (below SCRATCH), a podman on PATH that counts its starts
#   as_user PROGRAM ARGUMENT…   in a clean environment, from /
#   user_drop   ends the user's processes by their numbers and takes the user away

user_make() {
    local old pid
    for old in $(getent passwd | sed -n 's/^\(sfdt[0-9][0-9]*\):.*/\1/p'); do
        pid=${old#sfdt}
        [ -d "/proc/$pid" ] || user_drop "$old"
    done
    chmod 711 "$SCRATCH"
    export USER_NAME=sfdt$BATS_ROOT_PID USER_HOME=$SCRATCH/home USER_BIN=$SCRATCH/bin
    useradd --no-log-init --create-home --home-dir "$USER_HOME" --shell /bin/sh "$USER_NAME"
    grep -q "^$USER_NAME:" /etc/subuid && grep -q "^$USER_NAME:" /etc/subgid ||
        usermod --add-subuids 900000-965535 --add-subgids 900000-965535 "$USER_NAME"
    install -d -o "$USER_NAME" -m 700 "$USER_HOME/run"
    install -d -m 755 "$USER_BIN"
    # The build may lie where the user may not look.
    install -m 755 "$BUILD/splitfd" "$CFSCTL" "$USER_BIN/"
    printf '#!/bin/sh\n[ "$1" != unshare ] || echo "$*" >> "%s/starts"\nexec /usr/bin/podman "$@"\n' \
        "$USER_HOME" > "$USER_BIN/podman"
    chmod 755 "$USER_BIN/podman"
}

as_user() {
    (cd / && exec setpriv --reuid="$USER_NAME" --regid="$USER_NAME" --init-groups --reset-env \
        env HOME="$USER_HOME" XDG_RUNTIME_DIR="$USER_HOME/run" PATH="${USER_PATH:-$USER_BIN:/usr/bin:/bin:/usr/sbin}" \
        ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} ${TSAN_OPTIONS:+TSAN_OPTIONS="$TSAN_OPTIONS"} \
        ${UBSAN_OPTIONS:+UBSAN_OPTIONS="$UBSAN_OPTIONS"} "$@")
}

# The user's processes but the one that podman keeps for the namespace.
user_processes() {
    local pid
    for pid in $(pgrep -u "$USER_NAME"); do
        [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "podman pause" ] ||
            echo "$pid $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline")"
    done | grep ' .' || true
}

# None is left within two seconds.
assert_no_process() {
    local n
    for n in $(seq 1 40); do
        [ -n "$(user_processes)" ] || return 0
        sleep 0.05
    done
    echo "processes are left:"
    user_processes
    return 1
}

# How often podman unshare was started since the last call.
starts() {
    [ -e "$USER_HOME/starts" ] && wc -l < "$USER_HOME/starts" || echo 0
    rm -f "$USER_HOME/starts"
}

user_podman() { # STORE DRIVER ARGUMENT…
    local store=$1 driver=$2
    shift 2
    as_user /usr/bin/podman --root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" \
        --storage-driver "$driver" --cgroup-manager cgroupfs --events-backend none "$@" 2> "$SCRATCH/podman.log" ||
        { cat "$SCRATCH/podman.log" >&2; return 1; }
}

# Subordinate ids of the user: a first number, or none.
user_subids() { # [FIRST]
    # usermod refuses while podman's own process is there.
    sed -i "/^$USER_NAME:/d" /etc/subuid /etc/subgid
    [ -z "${1:-}" ] || echo "$USER_NAME:$1:65536" | tee -a /etc/subuid /etc/subgid > /dev/null
}

user_drop() { # [NAME]
    local name=${1:-${USER_NAME:-}} pid n
    [ -n "$name" ] && getent passwd "$name" > /dev/null || return 0
    for n in 1 2 3; do
        for pid in $(pgrep -u "$name"); do kill -KILL "$pid" 2> /dev/null; done
        [ -n "$(pgrep -u "$name")" ] || break
        sleep 0.1
    done
    # What podman keeps outside of HOME.
    find /tmp /dev/shm -maxdepth 1 -user "$name" -exec rm -rf {} +
    userdel "$name"
}
