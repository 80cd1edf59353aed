# Repositories whose objects have fs-verity by the kernel. Run by tests/interop/verity.bats in tests/lib/machine:
#   verity-machine.bash PART…   each PART on the next disk:
#       FILESYSTEM-ALGORITHM    all that a secure repository is for
#       old-ALGORITHM           the same on ext4, without mounts, for a kernel that has none of composefs' overlays
#       small-sha512            ext4 with blocks of 1024 bytes
#       cut-sha256, after-sha256   on btrfs: the kernel dies at the end of the first; the second looks at what is left
# SCRATCH has store/ (localhost/tiny), layout/ (tiny) and podman, the tree as podman mounts it. Prints TAP.
set -eu -o pipefail
source "$SPLITFD_TOP/tests/lib/common.bash"
source "$LIB/store.bash"
source "$LIB/repo.bash"
CFSCTL=$("$LIB/peers" path cfsctl)
n=0 failed=0
top=/run/verity
mkdir -p $top

# check NAME COMMAND…: one line of TAP; the output only where it fails.
check() {
    local name=$1 status=0
    shift
    n=$((n + 1))
    # Not as a condition: set -e would be off inside.
    set +e
    (set -e; trap 'echo "failed: $BASH_COMMAND" >&2' ERR; set -E; "$@") > $top/out 2>&1 < /dev/null
    status=$?
    set -e
    unmount_below $top/mnt
    if [ $status -eq 0 ]; then
        echo "ok $n - $part: $name"
    else
        echo "not ok $n - $part: $name"
        sed 's/^/# /' $top/out
        failed=1
    fi
}
# fails CODE REGEX COMMAND…: it ends with this code and says that in one line.
fails() {
    local want=$1 regex=$2 got=0 text
    shift 2
    text=$("$@" 2>&1 > /dev/null) || got=$?
    echo "$* -> $got: $text"
    [ $got -eq "$want" ] && [ "$(wc -l <<< "$text")" -eq 1 ] && [[ $text =~ $regex ]]
}
store_options=(--root "$SCRATCH/store/root" --runroot "$SCRATCH/store/run" --storage-driver overlay)
pull() { # REPO [OPTION…]
    local repo=$1
    shift
    splitfd pull --quiet --repo "$repo" "${store_options[@]}" "$@" localhost/tiny tiny
}
objects_of() { (cd "$1" && find objects -type f | LC_ALL=C sort); }
all_measured() { # REPO: the kernel's digest of each object is its name, and that of meta.json is there
    local measured
    [ "$(objects_of "$1" | wc -l)" -gt 30 ]
    measured=$(cd "$1" && objects_of . | xargs fsverity measure)
    assert_same "$(sed "s|^objects/\(..\)/\(.*\)|$algorithm:\1\2 &|" <<< "$(objects_of "$1")")" "$measured"
    assert_match "^$algorithm:" "$(fsverity measure "$1/meta.json")"
}
both_fscks() {
    assert_fsck_clean "$1"
    splitfd fsck --repo "$1"
}
same_tree() { # DIR: every file is read
    tree_of "$1" > $top/tree
    [ "$(wc -l < $top/tree)" -gt 40 ]
    diff "$SCRATCH/podman" $top/tree
}

make_disk() { # FS DISK
    case $1 in
    ext4) mkfs.ext4 -q -F -b 4096 -O verity -E lazy_itable_init=1,nodiscard "$2" ;;
    btrfs) mkfs.btrfs -q -f "$2" ;;
    esac
    mount "$2" $top/disk
}

initialises() {
    splitfd init --algorithm "fsverity-$algorithm-12" "$repo"
    splitfd init --algorithm "fsverity-$algorithm-12" "$repo"
    fails 1 'other settings' splitfd init --insecure --algorithm "fsverity-${other}-12" "$repo"
    fsverity measure "$repo/meta.json"
}
pulls() {
    local text
    text=$(pull "$repo")
    assert_same "image    $(cfs "$repo" oci compute-id tiny)" "$(grep '^image' <<< "$text")"
    all_measured "$repo"
    both_fscks "$repo"
    assert_layers_exact "$repo" tiny
    [[ $(pull "$repo") == *" 0 new + "* ]]
}
pulls_oci() {
    splitfd init --algorithm "fsverity-$algorithm-12" "$repo.oci"
    splitfd pull --quiet --insecure-policy --repo "$repo.oci" "oci:$SCRATCH/layout:tiny" tiny
    all_measured "$repo.oci"
    assert_same "$(cd "$repo" && objects_of . | sort)" "$(cd "$repo.oci" && objects_of . | sort)"
    assert_fsck_clean "$repo.oci"
}
pulls_over_cfsctl() {
    cfs "$repo" oci pull "oci:$SCRATCH/layout:tiny" theirs
    both_fscks "$repo"
    "$CFSCTL" init --algorithm "fsverity-$algorithm-12" "$repo.cfs"
    cfs "$repo.cfs" oci pull "oci:$SCRATCH/layout:tiny" theirs
    pull "$repo.cfs"
    all_measured "$repo.cfs"
    both_fscks "$repo.cfs"
    cfs "$repo.cfs" gc
    splitfd fsck --repo "$repo.cfs"
}
mounts() {
    splitfd mount --repo "$repo" tiny $top/mnt
    grep -q " $top/mnt overlay .*verity=require" /proc/mounts
    same_tree $top/mnt
    splitfd umount $top/mnt
    cfs "$repo" oci mount --fuse no tiny $top/mnt
    same_tree $top/mnt
    umount $top/mnt
}

# A file of the image, and its object, which holds the same bytes.
victim=usr/share/border/262144
victim_object() {
    local o
    splitfd mount --repo "$repo" tiny $top/mnt
    for o in $(cd "$repo" && find objects -type f -size 512); do
        ! cmp -s "$repo/$o" "$top/mnt/$victim" || echo "$o"
    done
    splitfd umount $top/mnt
}
# Each byte of a block is changed on the device, below the file system.
damage_below() { # FILE
    cp "$1" $top/content
    umount $top/disk
    python3 - "$disk" $top/content <<'END'
import mmap, sys
content = open(sys.argv[2], "rb").read()
block = content[4096:8192] if len(content) > 8192 else content
with open(sys.argv[1], "r+b") as f:
    size = f.seek(0, 2)
    at, found = 0, 0
    with mmap.mmap(f.fileno(), size) as m:
        while (at := m.find(block, at)) >= 0:
            m[at:at + len(block)] = bytes(b ^ 0xFF for b in block)
            found += 1
        m.flush()
print("changed %d times" % found)
sys.exit(found == 0)
END
    echo 3 > /proc/sys/vm/drop_caches
    mount "$disk" $top/disk
}
# Wants $object damaged. In a mount its file cannot be read, fsck names it, and --repair replaces it.
damaged_object() { # KIND, as fsck calls it
    local got=0 text
    splitfd mount --repo "$repo" tiny $top/mnt
    text=$(cat "$top/mnt/$victim" 2>&1 > /dev/null) || got=$?
    splitfd umount $top/mnt
    [ $got -ne 0 ]
    [[ $text == *"Input/output error"* ]]
    got=0
    text=$(splitfd fsck --repo "$repo" 2>&1) || got=$?
    echo "fsck -> $got: $text"
    [ $got -eq 1 ]
    [[ $text == *"$1: $object"* ]]
    mended
}
mended() {
    splitfd fsck --repair --repo "$repo" "${store_options[@]}" localhost/tiny
    all_measured "$repo"
}
all_whole() {
    both_fscks "$repo"
    splitfd mount --repo "$repo" tiny $top/mnt
    same_tree $top/mnt
    splitfd umount $top/mnt
}
damaged_below() {
    damage_below "$repo/$object"
    damaged_object object-verity-failed
}
damaged_image_below() {
    local image got=0 text
    image=$(realpath "$repo"/images/*)
    damage_below "$image"
    text=$(splitfd fsck --repo "$repo" 2>&1) || got=$?
    echo "fsck -> $got: $text"
    [ $got -eq 1 ]
    [[ $text == *"object-verity-failed: ${image#"$repo/"}"* ]]
    mended
}
damaged_stream_below() {
    local stream got=0 text
    stream=$(realpath "$(ls -d "$repo"/streams/oci-layer-* | head -n 1)")
    damage_below "$stream"
    text=$(splitfd fsck --repo "$repo" 2>&1) || got=$?
    echo "fsck -> $got: $text"
    [ $got -eq 1 ]
    [[ $text == *"object-verity-failed: ${stream#"$repo/"}"* ]]
    mended
}
# The object is made anew from FILE, with fs-verity by these options, or without.
make_object() { # FILE [enable OPTION…]
    cp "$1" "$repo/new"
    mv -f "$repo/new" "$repo/$object"
    shift
    [ $# -eq 0 ] || fsverity "$1" "$repo/$object" "${@:2}"
}
wrong_objects() {
    cp "$repo/$object" $top/content
    (head -c 262143 $top/content && printf x) > $top/changed
    make_object $top/content
    damaged_object object-verity-missing
    make_object $top/changed enable --hash-alg=$algorithm
    damaged_object object-digest-mismatch
    make_object $top/content enable --hash-alg=$other
    damaged_object object-verity-failed
    make_object $top/content enable --hash-alg=$algorithm --salt=00112233
    damaged_object object-digest-mismatch
}

all_of_it() {
    check "init" initialises
    check "pull from podman's store" pulls
    check "pull from oci:" pulls_oci
    check "repositories that cfsctl and splitfd have both written" pulls_over_cfsctl
    check "both mounts, every file" mounts
    object=$(victim_object)
    check "wrong objects" wrong_objects
    # btrfs has checksums of its own, which find that first.
    if [ "$1" = ext4 ]; then
        check "a file's object damaged below the file system" damaged_below
        check "an image damaged below the file system" damaged_image_below
        check "a stream damaged below the file system" damaged_stream_below
    fi
    check "after all that" all_whole
}

needs_newer() {
    fails 1 'secure repository needs Linux 6\.6 or newer; this is 6\.1' splitfd mount --repo "$repo" tiny $top/mnt
    splitfd init --insecure --repo "$repo.insecure"
    pull "$repo.insecure"
    fails 1 'insecure repository needs Linux 6\.5 or newer; this is 6\.1' splitfd mount --repo "$repo.insecure" tiny $top/mnt
    refute mountpoint -q $top/mnt
}

refuses_small_blocks() {
    fails 1 'needs blocks of 4096 bytes' splitfd init $top/disk/a/b/repo
    assert_same lost+found "$(ls -A $top/disk)"
    splitfd init --insecure $top/disk/a/b/repo
}

# Replaces FILE by another file with its content and fs-verity, and does no more for the disk than fsync(2) of both the
# file and its directory, which is not enough on btrfs.
replace_carelessly() { # FILE
    python3 - "$1" "$2" <<'END'
import fcntl, os, struct, sys
path, algorithm = sys.argv[1], {"sha256": 1, "sha512": 2}[sys.argv[2]]
with open(path, "rb") as f:
    content = f.read()
directory = os.open(os.path.dirname(path), os.O_RDONLY)
fd = os.open(os.path.dirname(path), os.O_WRONLY | os.O_TMPFILE, 0o644)
os.write(fd, content)
os.fsync(fd)
sealed = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
os.close(fd)
FS_IOC_ENABLE_VERITY = 0x40806685
fcntl.ioctl(sealed, FS_IOC_ENABLE_VERITY, struct.pack("<IIII112x", 1, algorithm, 4096, 0))
os.link("/proc/self/fd/%d" % sealed, path + ".new", src_dir_fd=directory, follow_symlinks=True)
os.rename(path + ".new", path)
os.fsync(sealed)
os.fsync(directory)
END
}
# What is called done is done: the kernel dies with no more than that.
before_the_cut() {
    local o=
    splitfd init --algorithm fsverity-$algorithm-12 "$repo.pulled"
    pull "$repo.pulled"
    mkdir "$repo.meta"
    splitfd init --algorithm fsverity-$algorithm-12 "$repo.meta"
    o=$(cd "$repo.pulled" && find objects -type f -size 512 | head -n 1)
    splitfd init --algorithm fsverity-$algorithm-12 "$repo"
    # After it: what init does for the disk would help them, too.
    replace_carelessly "$repo.meta/meta.json" $algorithm
    replace_carelessly "$repo.pulled/$o" $algorithm
    echo b > /proc/sysrq-trigger
    sleep 60
}
init_is_durable() {
    splitfd init --algorithm fsverity-$algorithm-12 "$repo"
    pull "$repo"
    all_measured "$repo"
    splitfd fsck --repo "$repo"
}
meta_is_mended() {
    refute cat "$repo.meta/meta.json"
    fails 4 "has lost its fs-verity data, as after a power cut; 'splitfd init --repo" splitfd fsck --repo "$repo.meta"
    splitfd init --algorithm fsverity-$algorithm-12 "$repo.meta"
    fsverity measure "$repo.meta/meta.json"
    pull "$repo.meta"
}
object_is_mended() {
    local o got=0 text
    o=$(cd "$repo.pulled" && for o in $(objects_of .); do head -c 1 "$o" > /dev/null 2>&1 || echo "$o"; done)
    [ -f "$repo.pulled/$o" ]
    text=$(splitfd fsck --repo "$repo.pulled" 2>&1) || got=$?
    echo "fsck -> $got: $text"
    [ $got -eq 1 ]
    [[ $text == *"object-open-failed: $o: its fs-verity data is damaged"* ]]
    pull "$repo.pulled"
    both_fscks "$repo.pulled"
    all_measured "$repo.pulled"
}

disks=(/dev/vd[a-z])
for part in "$@"; do
    disk=${disks[0]} disks=("${disks[@]:1}")
    mkdir -p $top/disk $top/mnt
    algorithm=${part#*-} repo=$top/disk/repo
    case $algorithm in sha512) other=sha256 ;; *) other=sha512 ;; esac
    case ${part%-*} in
    ext4 | btrfs)
        make_disk "${part%-*}" "$disk"
        all_of_it "${part%-*}"
        ;;
    old)
        make_disk ext4 "$disk"
        check "init" initialises
        check "pull from podman's store" pulls
        check "mount says which kernel it needs" needs_newer
        ;;
    small)
        mkfs.ext4 -q -F -b 1024 -O verity "$disk" 64M
        mount "$disk" $top/disk
        check "init" refuses_small_blocks
        ;;
    cut)
        make_disk btrfs "$disk"
        check "the kernel dies" before_the_cut
        ;;
    after)
        mount "$disk" $top/disk
        check "what init made is there" init_is_durable
        check "a meta.json that cannot be opened" meta_is_mended
        check "an object that cannot be opened" object_is_mended
        ;;
    esac
    umount $top/disk
done
echo "1..$n"
exit $failed
