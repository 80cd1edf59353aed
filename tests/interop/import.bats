# The import alone (no store): directories as layers, by tests/lib/import-tool. cfsctl judges.
load ../lib/common

TOOL=$BUILD/tests/lib/import-tool

setup_file() {
    scratch_make
    mkdir "$SCRATCH/edge"
    for s in 0 1 63 64 65 4095 4096 4097 262143 262144 262145 524287 524288 524289 1048577 9000001; do
        head -c "$s" /dev/urandom > "$SCRATCH/edge/f$s"
    done
    cp "$SCRATCH/edge/f4097" "$SCRATCH/edge/same"
    head -c 3000000 /dev/zero > "$SCRATCH/edge/zeros"
}
teardown_file() { scratch_drop; }

new_repo() { # DIR [ALGORITHM]
    REPO=$1
    "$CFSCTL" --repo "$REPO" init --insecure --algorithm "${2:-fsverity-sha512-12}" > /dev/null
}

# import CODE ARGUMENT…: output in $output, text of the failure in $errors
import() {
    local want=$1 got=0
    shift
    output=$(timeout 300 ${RUN:-} "$TOOL" "$@" 2> "$BATS_TEST_TMPDIR/errors" 3>&-) || got=$?
    errors=$(cat "$BATS_TEST_TMPDIR/errors")
    printf '%s\n%s\n' "$output" "$errors"
    [ "$got" -eq "$want" ] || { echo "exit code is $got, should be $want"; return 1; }
}

# What cfsctl gives back for each layer is that layer, and its fsck is content.
judge() { # REPO
    local d
    [ "$("$CFSCTL" --repo "$1" fsck | tail -n 1)" = "status: ok" ]
    for d in $(printf '%s\n' "$output" | grep ^sha256:); do
        assert_same "$("$CFSCTL" --repo "$1" oci layer "$d" | sha256sum | cut -d' ' -f1)" "${d#sha256:}"
    done
    assert_silent find "$1" -name '.*' ! -path "$1"
    assert_silent find "$1/objects" -type f \( ! -perm 644 -o ! -user root -o -links +1 \)
}

nothing_visible() { # REPO
    [ ! -e "$1/streams" ] || assert_silent ls -A "$1/streams"
    assert_silent find "$1" -name '.*' ! -path "$1"
}

on_file_system() { # TYPE EXPECTED
    local a v
    require_root
    require_cfsctl
    fs_make "$1" "$SCRATCH/$1" 2G
    cp -r "$SCRATCH/edge" "$SCRATCH/$1/edge"
    for a in fsverity-sha512-12 fsverity-sha256-12; do
        for v in "" "-v -j1" "-v -j2" "-v -j8 -f" "-i -v" "-r never"; do
            rm -rf "$SCRATCH/$1/repo"
            new_repo "$SCRATCH/$1/repo" "$a"
            import 0 $v "$REPO" "$SCRATCH/$1/edge"
            judge "$REPO"
            case $v in
            -i* | *never) assert_match 'reflinked 0 0.copied 13 ' "${output//$'\n'/.}" ;;
            *) assert_match "$2 13 " "$output" ;;
            esac
            assert_match 'present 1' "$output"
        done
    done
}

# bats test_tags=tsan
@test "XFS: all kinds of sizes, threads and sources; everything is reflinked" {
    on_file_system xfs reflinked
    # extents are really shared
    local o
    o=$(find "$REPO/objects" -size 9000001c)
    rm -rf "$REPO/objects" "$REPO/streams"
    import 0 -r always "$REPO" "$SCRATCH/xfs/edge"
    o=$(find "$REPO/objects" -size 9000001c)
    filefrag -v "$o" | grep -q shared
    fs_drop "$SCRATCH/xfs"
}

@test "btrfs: everything is reflinked" {
    on_file_system btrfs reflinked
    fs_drop "$SCRATCH/btrfs"
}

@test "ext4: everything is copied, and --reflink=always is refused with the reason" {
    on_file_system ext4 copied
    new_repo "$SCRATCH/ext4/always"
    import 1 -r always "$REPO" "$SCRATCH/ext4/edge"
    assert_match 'cannot share its extents' "$errors"
    nothing_visible "$REPO"
    fs_drop "$SCRATCH/ext4"
}

@test "another file system than the repository's: copied" {
    require_root
    require_cfsctl
    fs_make xfs "$SCRATCH/other" 1G
    new_repo "$SCRATCH/other/repo"
    import 0 -v "$REPO" "$SCRATCH/edge"
    assert_match 'copied 13 ' "$output"
    judge "$REPO"
    fs_drop "$SCRATCH/other"
}

@test "the second import of the same finds every object and changes nothing" {
    require_cfsctl
    new_repo "$SCRATCH/twice"
    import 0 "$REPO" "$SCRATCH/edge"
    find "$REPO" | sort | xargs stat -c '%n %i %Z' > "$SCRATCH/before"
    import 0 "$REPO" "$SCRATCH/edge"
    assert_match 'reflinked 0 0.copied 0 0.present 14' "${output//$'\n'/.}"
    find "$REPO/objects" "$REPO/streams" -type f -o -type l | sort | xargs stat -c '%n %i %Z' > "$SCRATCH/after"
    diff "$SCRATCH/before" "$SCRATCH/after" | refute grep '^>'
}

@test "cfsctl makes the same objects and the same layer of that tar" {
    require_cfsctl
    new_repo "$SCRATCH/ours"
    import 0 -t "$SCRATCH/layer.tar" "$REPO" "$SCRATCH/edge"
    local id=${output%%$'\n'*} theirs=$SCRATCH/theirs
    new_repo "$theirs"
    "$CFSCTL" --repo "$theirs" oci import-layer "$id" < "$SCRATCH/layer.tar"
    # The file objects; the streams differ where libzstd is not cfsctl's.
    (cd "$SCRATCH/ours/objects" && find . -type f) | sort > "$SCRATCH/a"
    (cd "$theirs/objects" && find . -type f) | sort > "$SCRATCH/b"
    [ "$(comm -3 "$SCRATCH/a" "$SCRATCH/b" | wc -l)" -le 2 ]
    [ "$(comm -12 "$SCRATCH/a" "$SCRATCH/b" | wc -l)" -ge 13 ]
}

# bats test_tags=tsan
@test "10,000 files, several layers, 8 threads, under ulimit -n 64" {
    require_cfsctl
    mkdir -p "$SCRATCH/many"
    python3 - "$SCRATCH/many" <<- 'PY'
	import os, random, sys
	random.seed(4)
	for i in range(10000):
	    d = "%s/%d/d%d" % (sys.argv[1], i % 3, i // 300)
	    os.makedirs(d, exist_ok=True)
	    with open("%s/f%d" % (d, i), "wb") as f:
	        f.write(random.randbytes(random.randint(0, 5000)))
	PY
    new_repo "$SCRATCH/limited"
    RUN="prlimit --nofile=64" import 0 -v -j 8 "$REPO" "$SCRATCH"/many/{0,1,2} "$SCRATCH/edge"
    judge "$REPO"
    rm -rf "$REPO/objects" "$REPO/streams"
    RUN="prlimit --nofile=64" import 0 -f -v -j 3 "$REPO" "$SCRATCH"/many/{0,1,2}
    judge "$REPO"
}

@test "a file whose CRC-64 is wrong: refused, named, nothing visible" {
    require_cfsctl
    local j size
    for size in 100 70000 5000000; do
        mkdir -p "$SCRATCH/crc"
        cp "$SCRATCH/edge/f4097" "$SCRATCH/crc/good"
        head -c "$size" /dev/urandom > "$SCRATCH/crc/bad"
        for j in 1 4; do
            rm -rf "$SCRATCH/crcrepo"
            new_repo "$SCRATCH/crcrepo"
            import 4 -c -j "$j" "$REPO" "$SCRATCH/crc"
            assert_match "file 'bad'.*CRC-64" "$errors"
            nothing_visible "$REPO"
        done
    done
}

@test "disk full: an error, nothing visible, and it works once there is room" {
    require_root
    require_cfsctl
    local j
    fs_make ext4 "$SCRATCH/small" 24M
    for j in 1 2; do
        rm -rf "$SCRATCH/small/repo"
        new_repo "$SCRATCH/small/repo"
        head -c 12M /dev/zero > "$SCRATCH/small/ballast"
        import 1 -j "$j" "$REPO" "$SCRATCH/edge"
        assert_match 'No space left' "$errors"
        nothing_visible "$REPO"
        rm "$SCRATCH/small/ballast"
        rm -rf "$REPO/objects"
        import 0 -j "$j" "$REPO" "$SCRATCH/edge"
        judge "$REPO"
    done
    fs_drop "$SCRATCH/small"
}

@test "a file that grows and shrinks while it is read is refused or whole, never wrong" {
    require_cfsctl
    mkdir -p "$SCRATCH/moving"
    head -c 60000000 /dev/zero > "$SCRATCH/moving/f"
    new_repo "$SCRATCH/movingrepo"
    import 0 -n -v "$REPO" "$SCRATCH/moving"
    local id=${output%%$'\n'*} got=0
    rm -rf "$REPO/objects"
    (
        exec 3>&-
        for i in $(seq 300); do
            printf x >> "$SCRATCH/moving/f"
            # It does not wait for a reader's lease.
            for _ in $(seq 20000); do ! truncate -s 60000000 "$SCRATCH/moving/f" 2> /dev/null || break; sleep 0.001; done
        done
    ) &
    local writer=$!
    timeout 100 "$TOOL" -v -d "$id" "$REPO" "$SCRATCH/moving" > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- || got=$?
    wait "$writer"
    cat "$BATS_TEST_TMPDIR/out"
    if [ "$got" -eq 0 ]; then
        output=$(cat "$BATS_TEST_TMPDIR/out")
        judge "$REPO"
    else
        [ "$got" -eq 4 ]
        nothing_visible "$REPO"
    fi
}
