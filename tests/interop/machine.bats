#!/usr/bin/env bats
# The machine of the other tests: another kernel with this machine's files, and what it says when that kernel dies.

load ../lib/common

setup_file() {
    require_root && require_machine || return 0
    scratch_make
}
teardown_file() { scratch_drop; }

@test "a script has the kernel, the files, the disks and its own exit code; its writes reach the disks only" {
    local code=0
    truncate -s 8M "$SCRATCH/one" "$SCRATCH/two"
    printf 'from here' > "$SCRATCH/file"
    cat > "$SCRATCH/script" <<'END'
uname -r
id -u
pwd
printf '%s|' "$@"
cat "$SCRATCH/file"
lsblk -bdno SIZE /dev/vda /dev/vdb | xargs
printf 'from there' > /dev/vdb
sync
printf 'lost' > "$SCRATCH/file"
"$BUILD/splitfd" --version > /dev/null || exit 1
exit 7
END
    run "$LIB/machine" --kernel 6.1 --disk "$SCRATCH/one" --disk "$SCRATCH/two" env "SCRATCH=$SCRATCH" \
        bash "$SCRATCH/script" "two words" "'"
    echo "$output"
    [ "$status" -eq 7 ]
    assert_match '^6\.1\.' "${lines[0]}"
    assert_same "0 $PWD" "${lines[1]} ${lines[2]}"
    assert_same "two words|'|from here8388608 8388608" "${lines[3]}"
    assert_same "from there" "$(head -c 10 "$SCRATCH/two")"
    assert_same "from here" "$(cat "$SCRATCH/file")"
}

@test "a kernel that dies: 99, and its last words" {
    run "$LIB/machine" --kernel 6.1 bash -c 'echo begun; echo 1 > /proc/sys/kernel/panic_on_oops; echo c > /proc/sysrq-trigger'
    echo "$output"
    [ "$status" -eq 99 ]
    assert_same begun "${lines[0]}"
    assert_match 'ended without a status.*Kernel panic' "$output"
}
