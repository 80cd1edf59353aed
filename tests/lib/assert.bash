# Assertions that can fail: an empty text or pattern, which is what a command that failed leaves
# behind, is never accepted for the one that was wanted. Loaded by lib/common.

# refute COMMAND…: fails where the command succeeds, and where it could not do its work: not found,
# ended by a signal, or a grep that could not read. A test goes on behind a plain "! COMMAND".
refute() {
    local code=0
    "$@" || code=$?
    if [ "$code" -eq 0 ]; then
        echo "succeeded: $*"
        return 1
    fi
    [ "$code" -lt 126 ] && ! { [ "$1" = grep ] && [ "$code" -ne 1 ]; } || { echo "ended with $code: $*"; return 1; }
}

# assert_match REGEX TEXT. A regular expression that matches the empty text matches any text.
assert_match() {
    [ $# -eq 2 ] || { echo "assert_match has $# arguments, not 2"; return 1; }
    if [[ '' =~ $1 ]]; then
        printf 'assert_match: this matches every text: %s\n' "$1"
        return 1
    fi
    [[ $2 =~ $1 ]] || { printf 'no match for: %s\nin: %s\n' "$1" "$2"; return 1; }
}

# assert_same WANTED FOUND: two texts, not empty, nor both what sha256sum makes of nothing (a diff_id may be that).
assert_same() {
    [ $# -eq 2 ] || { echo "assert_same has $# arguments, not 2"; return 1; }
    [ "$1" = "$2" ] || {
        echo "differ (wanted < > found):"
        diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | head -n 20
        return 1
    }
    case $1 in
    '') echo "assert_same: both are empty; assert_empty, assert_silent are for that" ;;
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 | \
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -')
        echo "assert_same: both are the SHA-256 of nothing"
        ;;
    *) return 0 ;;
    esac
    return 1
}

# assert_empty TEXT, of a variable: assert_empty "$(COMMAND)" cannot fail where COMMAND does.
assert_empty() {
    [ $# -eq 1 ] || { echo "assert_empty has $# arguments, not 1"; return 1; }
    [ -z "$1" ] || { printf 'not empty: %s\n' "$1"; return 1; }
}

# assert_silent COMMAND…: it succeeds and prints nothing to stdout.
assert_silent() {
    local text
    text=$("$@") || { echo "failed ($?): $*"; return 1; }
    [ -z "$text" ] || { printf '%s printed:\n%s\n' "$*" "$text" | head -n 40; return 1; }
}

# await PROCESS COMMAND…: until the command succeeds, for at most 60 seconds and only while the process runs.
await() {
    local process=$1 n
    shift
    for n in $(seq 1200); do
        ! "$@" 2> /dev/null || return 0
        kill -0 "$process" 2> /dev/null || { echo "process $process ended before: $*"; return 1; }
        sleep 0.05
    done
    echo "never: $*"
    return 1
}
