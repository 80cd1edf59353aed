#!/usr/bin/env bats
# Pulls beside other programs: podman and skopeo on the store, cfsctl and other pulls on the repository.

load ../lib/common
load ../lib/store
load ../lib/repo
load ../lib/damage
load ../lib/slow

setup_file() { damage_setup_file; }
teardown_file() { scratch_drop; }
setup() { damage_setup; }
teardown() {
    slow_kill
    damage_teardown
}

pull_of() { # REPO NAME
    echo pull --repo "$1" --root "$store/root" --runroot "$store/run" localhost/small "$2"
}
# Ends within seconds although a pull is running.
in_time() {
    timeout 20 "$@" < /dev/null > "$BATS_TEST_TMPDIR/beside" 2>&1 || {
        echo "did not end or failed: $*"
        cat "$BATS_TEST_TMPDIR/beside"
        return 1
    }
}
podman_of() { # SUITE ARGUMENT…
    local suite=$1
    shift
    local program=podman
    [ "$suite" = debian ] || program="$LIB/newer podman"
    in_time $program --root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" --storage-driver overlay \
        --cgroup-manager cgroupfs --events-backend none "$@"
}

beside_a_pull() { # SUITE
    store_load "$1" "$SMALL" "$store" localhost/again
    slow_start 70000 $(pull_of "$repo" small)
    slow_wait_objects "$repo" 100
    podman_of "$1" images
    podman_of "$1" tag localhost/small localhost/second-name
    if [ "$1" = debian ]; then
        in_time skopeo copy --insecure-policy "oci:$SMALL" "containers-storage:$(store_spec "$store")localhost/written"
    else
        in_time "$LIB/newer" skopeo copy --insecure-policy "oci:$SMALL" \
            "containers-storage:$(store_spec "$store")localhost/written"
    fi
    podman_of "$1" rmi localhost/again
    slow_runs
    slow_end
    assert_same 0 "$slow_code"
    assert_cfsctl_accepts "$repo" small
}

# bats test_tags=tsan
@test "podman images, tag, rmi and a write by skopeo end while a pull is running" {
    beside_a_pull debian
}

@test "the same with the newer suite" {
    require_newer
    beside_a_pull newer
}

# bats test_tags=tsan
@test "podman rmi of the image that is being pulled: rmi ends, the pull says that the layer went away" {
    slow_start 40000 $(pull_of "$repo" small)
    slow_wait_objects "$repo" 100
    podman_of debian rmi localhost/small
    slow_end
    assert_same 3 "$slow_code"
    assert_match 'the layer was removed while it was read|removed from the store meanwhile' "$(cat "$BATS_TEST_TMPDIR/slow.err")"
    assert_nothing_visible "$repo"
    assert_fsck_clean "$repo"
}

@test "the same with the newer suite's podman" {
    require_newer
    slow_start 40000 $(pull_of "$repo" small)
    slow_wait_objects "$repo" 100
    podman_of newer rmi localhost/small
    slow_end
    # Its files may have been readable to the end: then the result is the whole image.
    if [ "$slow_code" -eq 0 ]; then assert_cfsctl_accepts "$repo" small; else assert_nothing_visible "$repo"; fi
    assert_fsck_clean "$repo"
}

# bats test_tags=tsan
@test "two pulls of the same image at once, eight times: one repository, both right" {
    local n first second
    for n in 1 2 3 4 5 6 7 8; do
        rm -rf "$repo" && repo_init "$repo"
        "$BUILD/splitfd" $(pull_of "$repo" one) > /dev/null 2> "$BATS_TEST_TMPDIR/1" 3>&- &
        first=$!
        "$BUILD/splitfd" $(pull_of "$repo" two) > /dev/null 2> "$BATS_TEST_TMPDIR/2" 3>&- &
        second=$!
        wait $first || { cat "$BATS_TEST_TMPDIR/1"; return 1; }
        wait $second || { cat "$BATS_TEST_TMPDIR/2"; return 1; }
        assert_cfsctl_accepts "$repo" one
        assert_same "$(cfs "$repo" oci compute-id one)" "$(cfs "$repo" oci compute-id two)"
    done
}

# bats test_tags=tsan
@test "beside cfsctl's own pull of the same image: both end well, whole and exact" {
    # cfsctl repoints a layer's name to its own bytes when it comes second. With another libzstd these
    # differ from ours; the tests below show what gc makes of that.
    local n theirs
    for n in 1 2 3 4 5; do
        rm -rf "$repo" && repo_init "$repo"
        cfs "$repo" oci pull "oci:$SMALL" theirs > /dev/null 2> "$BATS_TEST_TMPDIR/theirs" 3>&- &
        theirs=$!
        sleep 0.$((n * 2))
        store_pull 0 "$repo" "$store" localhost/small ours
        wait $theirs || { cat "$BATS_TEST_TMPDIR/theirs"; return 1; }
        assert_fsck_clean "$repo"
        assert_layers_exact "$repo" ours
        assert_layers_exact "$repo" theirs
        assert_same "$(cfs "$repo" oci compute-id theirs)" "$(cfs "$repo" oci compute-id ours)"
    done
}

# stopped_at CALL N PROGRAM…: starts it, and stops it where a thread makes its Nth such call. $! is its process.
stopped_at() {
    local call=$1 n=$2
    shift 2
    strace -D -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=STOP:when=$n" "$@" \
        > "$BATS_TEST_TMPDIR/stopped" 2>&1 < /dev/null 3>&- &
}
# Until it has been standing still for a while.
wait_stopped() { # PROCESS
    local still=0 n
    for n in $(seq 1 1200); do
        case $(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null) in
        [tT]*) still=$((still + 1)) ;;
        "") break ;;
        *) still=0 ;;
        esac
        [ $still -lt 10 ] || return 0
        sleep 0.02
    done
    echo "it never stopped"
    cat "$BATS_TEST_TMPDIR/stopped"
    return 1
}
# Lets it go on to its end, past the stops of its other threads.
let_go() { # PROCESS
    while kill -CONT "$1" 2> /dev/null; do sleep 0.05; done
    wait "$1" || { cat "$BATS_TEST_TMPDIR/stopped"; return 1; }
}
# Without their tag, gc takes what only theirs refers to; ours must not need it.
ours_holds_alone() {
    cfs "$repo" oci untag theirs
    cfs "$repo" gc > /dev/null
    assert_cfsctl_accepts "$repo" ours
    [ -L "$repo/images/$(cfs "$repo" oci compute-id ours)" ]
}
layer_links() { (cd "$repo/streams" && find . -name 'oci-layer-*' -printf '%p %l\n' | sort); }

# cfsctl has found no names and stands in front of its first. Where that is a layer whose bytes are the
# same in both encodings, and the others were not yet looked for, nothing will be repointed: another try.
theirs_stopped() {
    rm -rf "$repo" && repo_init "$repo"
    stopped_at symlinkat 1 "$CFSCTL" --repo "$repo" oci pull "oci:$SMALL" theirs
    theirs=$!
    wait_stopped $theirs
}
theirs_repoints() {
    local before
    before=$(layer_links)
    [ "$(wc -l <<< "$before")" -eq 3 ]
    let_go $theirs
    [ "$(layer_links)" != "$before" ]
}

# bats test_tags=tsan
@test "cfsctl repoints our layers while we name config, manifest and tag: ours is built anew" {
    # We stand behind our layers' names, or behind all names, before the last sync.
    local at try theirs ours moved
    for at in 'symlinkat 4' 'syncfs 3'; do
        for try in 1 2 3 4 5 6; do
            theirs_stopped
            stopped_at $at "$BUILD/splitfd" $(pull_of "$repo" ours)
            ours=$!
            wait_stopped $ours
            moved=
            ! theirs_repoints || moved=yes
            let_go $ours
            ours_holds_alone || { echo "stopped at $at"; return 1; }
            [ -z "$moved" ] || break
        done
        [ -n "$moved" ]
    done
}

# bats test_tags=tsan
@test "cfsctl repoints our layers when our pull is over: the next pull of the image heals it" {
    local try theirs
    for try in 1 2 3 4 5 6; do
        theirs_stopped
        store_pull 0 "$repo" "$store" localhost/small ours
        ! theirs_repoints || break
    done
    [ "$try" -lt 6 ]
    store_pull 0 "$repo" "$store" localhost/small ours
    ours_holds_alone
}

# bats test_tags=tsan
@test "cfsctl gc waits for a pull and takes nothing of it away" {
    slow_start 10000 $(pull_of "$repo" small)
    slow_wait_objects "$repo" 100
    timeout 300 "$CFSCTL" --repo "$repo" gc > "$BATS_TEST_TMPDIR/gc" 2>&1 < /dev/null 3>&-
    # The pull lets go of its lock when all is done, and ends a moment later.
    [ -L "$repo/streams/refs/oci/small" ]
    slow_end
    assert_same 0 "$slow_code"
    assert_cfsctl_accepts "$repo" small
}

# bats test_tags=tsan
@test "a pull waits while gc has the repository, and is right after it" {
    flock -x "$repo" sleep 2 3>&- &
    sleep 0.3
    SECONDS=0
    store_pull 0 "$repo" "$store" localhost/small small
    [ "$SECONDS" -ge 1 ]
    assert_cfsctl_accepts "$repo" small
}

@test "a container that runs on the image, and one that writes to it, do not disturb" {
    local container
    container=$(suite_buildah debian "$store" -- from --pull-never localhost/small)
    echo changed > "$(suite_buildah debian "$store" -- mount "$container")/etc/passwd"
    store_pull 0 "$repo" "$store" localhost/small small
    assert_cfsctl_accepts "$repo" small
}
