# What every test with real peers begins with: scratch space that is cleaned up whatever happens,
# the program under test, requirements. Loaded by `load ../lib/common`.
#
#   setup_file() { scratch_make; … }   teardown_file() { scratch_drop; }
# SCRATCH is a folder of this test file's own, below /var/tmp, because both suites see that.

SPLITFD_TOP=${SPLITFD_TOP:-$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)}
BUILD=${BUILD:-build/default}
case $BUILD in /*) ;; *) BUILD=$SPLITFD_TOP/$BUILD ;; esac
LIB=$SPLITFD_TOP/tests/lib
SPLITFD_CACHE=${SPLITFD_CACHE:-/var/cache/splitfd}
export SPLITFD_TOP BUILD LIB SPLITFD_CACHE
. "$LIB/assert.bash"
# The machine's own stores and settings stay out of it.
unset CONTAINERS_STORAGE_CONF CONTAINERS_STORAGE_CONF_OVERRIDE STORAGE_DRIVER STORAGE_OPTS CONTAINERS_STORAGE_ROOT \
    CONTAINERS_REGISTRIES_CONF

# Unmounts all below a folder, deepest first.
unmount_below() { # dir
    local m
    awk -v d="$1" '$5 == d || index($5, d "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while IFS= read -r m; do umount "$m" 2> /dev/null || umount -l "$m"; done
}

drop_folder() { # dir
    case $1 in /var/tmp/sfdt.*) ;; *) return 1 ;; esac
    unmount_below "$1"
    rm -rf --one-file-system "$1"
}

# Also takes away what test runs left that were killed.
scratch_make() {
    local old pid
    for old in /var/tmp/sfdt.*; do
        pid=${old#/var/tmp/sfdt.}
        pid=${pid%%.*}
        [ ! -d "$old" ] || [ -d "/proc/$pid" ] || drop_folder "$old"
    done
    SCRATCH=$(mktemp -d "/var/tmp/sfdt.${BATS_ROOT_PID:-$$}.XXXX")
    export SCRATCH
}

scratch_drop() { [ -z "${SCRATCH:-}" ] || drop_folder "$SCRATCH"; }

# A file system of its own on a loop device: fs_make xfs|btrfs|ext4 DIR [SIZE].
fs_make() {
    local type=$1 dir=$2 size=${3:-8G} options=loop
    mkdir -p "$dir"
    truncate -s "$size" "$dir.img"
    case $type in
    xfs) mkfs.xfs -q -f -m reflink=1 "$dir.img" ;;
    btrfs) mkfs.btrfs -q -f "$dir.img" ;;
    ext4) mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard "$dir.img" ;;
    *) return 2 ;;
    esac
    mount -o $options -t "$type" "$dir.img" "$dir"
}

fs_drop() { # DIR
    unmount_below "$1"
    rm -f "$1.img"
}

# Requirements. Where a peer or root is missing, the test is skipped; CI=true counts that as a failure.
# In setup_file, `require_… || return 0` lets the setup() below skip each test of the file: bats 1.8
# cannot skip a file.
missing() {
    [ -z "${BATS_TEST_NAME:-}" ] || skip "$1"
    export SKIP_ALL=$1
    return 1
}
setup() { [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"; }
require_root() { [ "$(id -u)" -eq 0 ] || missing "needs root"; }
who_installs() { # PROGRAM
    case $1 in
    go) echo "Debian 12 has an older one than tests/interop/container-libs/go.mod names" ;;
    *) echo "contrib/install-deps --tests installs it" ;;
    esac
}
require_program() {
    local p
    for p in "$@"; do
        command -v "$p" > /dev/null || missing "needs $p; $(who_installs "$p")" || return 1
    done
}
require_cfsctl() {
    CFSCTL=$("$LIB/peers" path cfsctl) || missing "needs cfsctl; tests/lib/peers cfsctl builds it" || return 1
    export CFSCTL
}
require_newer() {
    "$LIB/peers" path suite > /dev/null || missing "needs the newer suite; tests/lib/peers suite makes it"
}
# Another kernel, in an emulated processor: tests/lib/machine.
require_machine() {
    require_program qemu-system-x86_64 busybox cpio depmod zstd fsverity
}
require_interop() {
    require_root && require_program podman skopeo buildah jq strace mkfs.xfs mkfs.btrfs mkfs.ext4 && require_cfsctl
}

# The program under test; SPLITFD_RUN is put before it (a wrapper such as strace or prlimit).
splitfd() { ${SPLITFD_RUN:-} "$BUILD/splitfd" "$@"; }

# assert_documented COMMAND JSON: the command's page has each member's name.
assert_documented() {
    local name names
    names=$(jq -r '[paths | .[-1] | strings] | unique[]' <<< "$2")
    [ -n "$names" ]
    for name in $names; do
        grep -qF "*$name*" "$SPLITFD_TOP/contrib/man/splitfd-$1.1.md" || { echo "splitfd-$1(1) does not have '$name'"; return 1; }
    done
}

# run_splitfd CODE[|CODE] ARGUMENT…: runs it with a time limit and wants (one of) these exit codes. Output in $output
# (stdout) and $errors; success must leave stderr empty.
run_splitfd() {
    local want=$1 got=0
    shift
    output=$(timeout --kill-after=5 "${SPLITFD_TIMEOUT:-300}" ${SPLITFD_RUN:-} "$BUILD/splitfd" "$@" \
        2> "$BATS_TEST_TMPDIR/errors" < /dev/null 3>&-) || got=$?
    errors=$(cat "$BATS_TEST_TMPDIR/errors")
    echo "\$ splitfd $*  -> $got"
    [ -z "$output" ] || printf '%s\n' "$output"
    [ -z "$errors" ] || printf 'stderr: %s\n' "$errors"
    if ! [[ "|$want|" == *"|$got|"* ]]; then
        echo "exit code is $got, should be $want"
        return 1
    fi
    if [ "$got" -eq 0 ] && [ -n "$errors" ] && [ -z "${SPLITFD_STDERR_OK:-}" ]; then
        echo "success, but stderr is not empty"
        return 1
    fi
}
