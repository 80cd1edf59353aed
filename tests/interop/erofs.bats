# EROFS images, dumps and mounts against cfsctl.
#   SPLITFD_TREES=N   one real tree for each 50, one random image for each 100 (default 10000)
#   SPLITFD_SEED=N    the first seed (default 1)

load ../lib/common
load ../lib/erofs

setup_file() {
    scratch_make
    require_root && require_program jq fsck.erofs python3 && require_cfsctl || return 0
    export RUST_BACKTRACE=0 TREES=${SPLITFD_TREES:-10000} SEED=${SPLITFD_SEED:-1}
    local a
    for a in sha256 sha512; do
        "$CFSCTL" init --insecure --algorithm fsverity-$a-12 "$SCRATCH/$a" > /dev/null || return 1
    done
    python3 "$LIB/odd-layers.py" "$SCRATCH/odd" || return 1
}
teardown_file() { scratch_drop; }

@test "real trees have cfsctl's digest and dump, formats 0, 1 and 2, both algorithms" {
    local i a f done_n=0 n=$((TREES / 50 > 10 ? TREES / 50 : 10))
    python3 "$LIB/random-tree.py" "$SCRATCH" 1 "$n"
    for ((i = 1; i <= n; i++)); do
        python3 "$LIB/make-tree.py" "$SCRATCH/$i.dump" "$SCRATCH/tree" 2> /dev/null
        for a in sha256 sha512; do
            # cfsctl cannot read all of them (names that are no UTF-8 as xattrs, and so on)
            "$CFSCTL" --repo "$SCRATCH/$a" create-dumpfile --no-propagate-usr-to-root \
                "$SCRATCH/tree" > "$SCRATCH/dump" 2> /dev/null || continue
            dump_digest -a $a -d "$SCRATCH/dump" | cmp - "$SCRATCH/dump"
            for f in 0 1 2; do
                assert_same "seed $i $a $f $("$CFSCTL" --repo "$SCRATCH/$a" --erofs-version $f \
                    compute-id --no-propagate-usr-to-root "$SCRATCH/tree")" \
                    "seed $i $a $f $(dump_digest -a $a -f $f "$SCRATCH/dump")"
            done
            done_n=$((done_n + 1))
        done
        rm -rf "$SCRATCH/tree" "$SCRATCH/$i.dump"
    done
    echo "$done_n of $((2 * n)) could be read by cfsctl"
    [ "$done_n" -ge "$n" ]
}

# bats test_tags=asan
@test "more than 65535 links and subdirectories" {
    python3 - "$SCRATCH" << 'PYTHON'
import sys
def write(name, lines):
    with open(sys.argv[1] + "/" + name, "w") as f:
        f.write("/ 0 40755 2 0 0 0 7.0 - - -\n" + "".join(lines))
write("links.dump", ["/a 3 100644 1 0 0 0 7.0 - abc -\n"] + [
    "/l%05d 0 @120000 - - - - 0.0 /a - -\n" % i for i in range(66000)])
write("directories.dump", ["/d%05d 0 40700 2 0 0 0 7.0 - - -\n" % i for i in range(66000)])
PYTHON
    mkcomposefs_same --min-version=1 1 "$SCRATCH/links.dump" "$SCRATCH/directories.dump"
}

# The stored image REPO NAME: dump and ids are cfsctl's; without --tree, too, unless podman's tree is
# another one (then the words say so, and $two counts it).
stored_same() {
    local f errors
    "$CFSCTL" --repo "$1" oci dump "$2" > "$SCRATCH/1"
    if errors=$("$BUILD/splitfd" dump --repo "$1" "$2" 2>&1 > "$SCRATCH/2"); then
        cmp "$SCRATCH/1" "$SCRATCH/2"
    else
        assert_match --tree=podman "$errors"
        two=$((two + 1))
    fi
    "$BUILD/splitfd" dump --tree=cfsctl --repo "$1" "$2" > "$SCRATCH/2"
    cmp "$SCRATCH/1" "$SCRATCH/2"
    for f in 0 1 2; do
        assert_same "$("$CFSCTL" --repo "$1" --erofs-version $f oci compute-id "$2")" \
            "$("$BUILD/splitfd" compute-id --tree=cfsctl --repo "$1" --erofs-version $f "$2")"
    done
    assert_same "$("$CFSCTL" --repo "$1" oci compute-id --xattrs keep-user-xattrs "$2")" \
        "$("$BUILD/splitfd" compute-id --tree=cfsctl --repo "$1" --xattrs keep-user-xattrs "$2")"
}

# bats test_tags=asan
@test "odd layers that cfsctl takes give its tree" {
    local a c same=0 two=0
    for c in $(jq -r '.[].case' "$SCRATCH/odd/index.json"); do
        for a in sha256 sha512; do
            "$CFSCTL" --repo "$SCRATCH/$a" oci pull "oci:$SCRATCH/odd/$c" "$c" > /dev/null 2>&1 || continue
            echo "$c"
            stored_same "$SCRATCH/$a" "$c"
            same=$((same + 1))
        done
    done
    echo "$same compared, $two with two trees"
    [ "$same" -ge 40 ] && [ "$two" -le 6 ]
}

# bats test_tags=asan
@test "random layers with whiteouts, opaque directories, hard links and replacements" {
    local i a two=0 n=$((TREES / 100 > 20 ? TREES / 100 : 20))
    python3 "$LIB/random-layers.py" "$SCRATCH/random" "$SEED" "$n"
    for ((i = SEED; i < SEED + n; i++)); do
        a=$([ $((i % 4)) -eq 0 ] && echo sha256 || echo sha512)
        "$CFSCTL" --repo "$SCRATCH/$a" oci pull "oci:$SCRATCH/random/$i" "random$i" > /dev/null
        echo "seed $i"
        stored_same "$SCRATCH/$a" "random$i"
    done
}

@test "fsck.erofs accepts the images" {
    local i f
    python3 "$LIB/random-tree.py" "$SCRATCH" 1 30 --sane
    for ((i = 1; i <= 30; i++)); do
        for f in 1 2; do
            dump_digest -f $f -o "$SCRATCH/image" "$SCRATCH/$i.dump" > /dev/null
            fsck.erofs "$SCRATCH/image" > "$SCRATCH/fsck" 2>&1 || {
                echo "seed $i format $f"
                cat "$SCRATCH/fsck"
                return 1
            }
        done
    done
}

# What a mounted tree is, for comparison.
describe() {
    (cd "$1" && find . -printf '%p %y %m %U %G %n %s %T@ %l\n' | sort &&
        find . -type f -print0 | sort -z | xargs -0r sha256sum && getfattr -Rdhm - . 2> /dev/null)
}

@test "mount and umount; the same tree as cfsctl's mount" {
    local repo=$SCRATCH/sha512 image
    mkdir -p "$SCRATCH/m1" "$SCRATCH/m2"
    "$CFSCTL" --repo "$repo" oci pull "oci:$SCRATCH/odd/pax-xattrs" mounted > /dev/null 2>&1 ||
        "$CFSCTL" --repo "$repo" oci pull "oci:$SCRATCH/odd/100-layers" mounted > /dev/null
    run_splitfd 0 mount --repo "$repo" mounted "$SCRATCH/m1"
    "$CFSCTL" --repo "$repo" oci mount --fuse no mounted "$SCRATCH/m2"
    assert_same "$(describe "$SCRATCH/m2")" "$(describe "$SCRATCH/m1")"
    run_splitfd 0 umount "$SCRATCH/m1"
    run_splitfd 3 umount "$SCRATCH/m1"
    run_splitfd 4 umount /proc
    image=$("$BUILD/splitfd" compute-id --repo "$repo" mounted)
    "$BUILD/tests/lib/mount-tool" "$repo" "$image" "$SCRATCH/m1"
    assert_same "$(describe "$SCRATCH/m2")" "$(describe "$SCRATCH/m1")"
    run_splitfd 0 umount "$SCRATCH/m1"
    run_splitfd 0 umount "$SCRATCH/m2"
    assert_silent find /tmp -maxdepth 1 -name 'splitfd-*'
    run_splitfd 3 mount --repo "$repo" nothing "$SCRATCH/m1"
    run_splitfd 2 mount --repo "$repo" mounted
}

# A pull that cfsctl refuses leaves config and layers; their tree by the config's digest.
refused_config() { # CASE
    local digest
    digest=$(jq -r '.manifests[0].digest' "$SCRATCH/odd/$1/index.json")
    ! "$CFSCTL" --repo "$SCRATCH/sha512" oci pull "oci:$SCRATCH/odd/$1" "$1" > /dev/null 2>&1 || return 1
    jq -r .config.digest "$SCRATCH/odd/$1/blobs/sha256/${digest#*:}"
}

# bats test_tags=asan
@test "what cfsctl refuses: parents that are missing, no /usr" {
    local config
    config=$(refused_config parents-missing)
    SPLITFD_STDERR_OK=1 run_splitfd 0 dump --repo "$SCRATCH/sha512" "@$config"
    assert_match 'has no entry; made as 0755' "$errors"
    assert_match $'\n/usr/a/b 0 40755 3 0 0 0 ' "$output"
    config=$(refused_config no-usr)
    SPLITFD_STDERR_OK=1 run_splitfd 0 dump --repo "$SCRATCH/sha512" "@$config"
    assert_match 'no directory /usr' "$errors"
}

@test "below a symlink of the same layer: below its target, as podman has it" {
    local config
    config=$(refused_config symlinked-parent)
    SPLITFD_STDERR_OK=1 run_splitfd 0 dump --repo "$SCRATCH/sha512" "@$config"
    assert_match $'\n/usr/lib/a ' "$output"
}

# bats test_tags=asan
@test "what has no tree: the reason names layer and path" {
    local config
    config=$(refused_config dot-dot)
    run_splitfd 4 compute-id --repo "$SCRATCH/sha512" "@$config"
    assert_match 'layer sha256:[0-9a-f]+: .*"\.\." in a path' "$errors"
    run_splitfd 4 compute-id --bootable --repo "$SCRATCH/sha512" "@$config"
}

@test "a million files: 400 bytes for each, names not counted" {
    local peak bytes
    python3 - > "$SCRATCH/big.dump" << 'PYTHON'
import hashlib
print("/ 0 40755 2 0 0 0 1.0 - - -")
for a in range(1000):
    print("/d%04d 0 40755 2 0 0 0 1.0 - - -" % a)
    for b in range(1000):
        h = hashlib.sha512(b"%d %d" % (a, b)).hexdigest()
        print("/d%04d/f%04d 1000 100644 1 0 0 0 %d.5 %s/%s - %s" % (a, b, a + b, h[:2], h[2:], h))
PYTHON
    bytes=$(stat -c %s "$SCRATCH/big.dump") # the tool keeps the text
    peak=$(python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)' \
        "$BUILD/tests/lib/dump-digest" -a sha512 "$SCRATCH/big.dump")
    echo "peak $peak bytes, text $bytes: $(((peak - bytes) / 1001001)) for each"
    [ -z "${SANITIZED:-}" ] || skip "kernel: a sanitizer's memory is no measure"
    [ $((peak - bytes)) -lt $((1001001 * 400)) ]
}
