#!/usr/bin/env bats
# The assertions of tests/lib/assert.bash: each fails where it must, also where a command before it has.
load ../lib/common

fails() { # TEXT COMMAND…
    local code=0 said
    said=$("${@:2}" 2>&1) || code=$?
    echo "${*:2} -> $code: $said"
    [ "$code" -ne 0 ] && [[ $said == *"$1"* ]]
}
says() { printf '%s\n' "$@"; }
says_and_fails() { echo said && return 3; }
killed() { sh -c 'kill -TERM $$'; }
cannot_run() { "$BATS_TEST_TMPDIR/none"; }

@test "assert_same: equal texts, but neither two of nothing nor two digests of nothing" {
    assert_same a a
    assert_same $'a\nb' "$(says a b)"
    assert_same 0 0
    fails 'wanted < > found' assert_same a b
    fails 'wanted < > found' assert_same a ''
    fails 'both are empty' assert_same '' ''
    fails 'both are empty' assert_same "$(cannot_run)" "$(cannot_run)"
    fails 'SHA-256 of nothing' assert_same "$(sha256sum < /dev/null)" "$(cannot_run | sha256sum)"
    # A file without content, among others.
    assert_same "$(sha256sum /dev/null; says a)" "$(sha256sum /dev/null; says a)"
    fails '1 arguments' assert_same a
    fails '3 arguments' assert_same a a a
}
@test "assert_match: not by a pattern that any text matches" {
    assert_match '^a.c$' abc
    fails 'no match' assert_match '^b' abc
    fails 'no match' assert_match a ''
    for pattern in '' '.*' 'x?' '(a|)' '^' "$(cannot_run)"; do fails 'every text' assert_match "$pattern" abc; done
    fails '1 arguments' assert_match a
}
@test "assert_empty, assert_silent: not by a command that failed" {
    assert_empty ''
    fails 'not empty: a' assert_empty a
    fails '0 arguments' assert_empty
    assert_silent true
    fails 'failed (1)' assert_silent false
    fails 'failed (127)' assert_silent cannot_run
    fails 'failed (3)' assert_silent says_and_fails
    fails 'printed:' assert_silent says a
}
@test "refute: not by a command that could not run, was killed, or a grep without a file" {
    refute false
    refute grep -q b <<< a
    fails 'succeeded: true' refute true
    fails 'succeeded: grep' refute grep -q a <<< a
    fails 'ended with 127' refute cannot_run
    fails 'ended with 143' refute killed
    fails 'ended with 2' refute grep -q a "$BATS_TEST_TMPDIR/none"
}
@test "await: ends when the process has" {
    sleep 60 3>&- &
    local process=$!
    (sleep 0.2; touch "$BATS_TEST_TMPDIR/there") 3>&- &
    await "$process" test -e "$BATS_TEST_TMPDIR/there"
    kill "$process"
    wait "$process" || true
    fails "process $process ended before" await "$process" test -e "$BATS_TEST_TMPDIR/none"
}
@test "assert_nothing_visible: not of a repository that is missing" {
    load ../lib/repo
    mkdir "$BATS_TEST_TMPDIR/repo"
    assert_nothing_visible "$BATS_TEST_TMPDIR/repo"
    mkdir -p "$BATS_TEST_TMPDIR/repo/streams"
    ln -s x "$BATS_TEST_TMPDIR/repo/streams/x"
    fails 'streams/x' assert_nothing_visible "$BATS_TEST_TMPDIR/repo"
    fails 'No such file' assert_nothing_visible "$BATS_TEST_TMPDIR/none"
}
@test "tests/run: a crash fails the file, also of a process that nobody waits for" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local status=0 file=$BATS_TEST_TMPDIR/file
    for signal in SEGV TERM; do
        printf '#!/bin/sh\necho "ok 1 - all is well"\nsetsid -f sh -c "kill -%s \\$\\$"\nsleep 0.5\n' $signal > "$file-$signal"
        chmod +x "$file-$signal"
    done
    timeout 60 "$SPLITFD_TOP/tests/run" "$file-TERM" < /dev/null 3>&-
    timeout 60 "$SPLITFD_TOP/tests/run" "$file-SEGV" > "$file.out" < /dev/null 3>&- || status=$?
    cat "$file.out"
    [ "$status" -eq 1 ]
    grep -q '# sh (process [0-9]*) was ended by signal 11' "$file.out"
    grep -q '^1 passed, 1 failed, 0 skipped$' "$file.out"
}
