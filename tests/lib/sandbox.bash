# shellcheck shell=bash
# A process that is in the sandbox, and what it gets at (tests/lib/preload/sandbox-probe.c).

has_landlock() { # landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    python3 -c 'import ctypes; exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 2)'
}
# Landlock's version here.
landlock_version() { python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))'; }
require_sandbox() {
    [ -z "${SANITIZED:-}" ] || skip "kernel: a build with a sanitizer keeps everything"
    has_landlock || skip "kernel: no Landlock, or an old one"
    case $("$BUILD/splitfd" --version) in *+seccomp*) ;; *) missing "a build with libseccomp" ;; esac
}

# A command with a library in it that tries what a process which was taken over would; the lines that it prints.
probed() { # ARGUMENT…
    local loader library=$SCRATCH/probe.so
    [ -e "$library" ] || gcc -std=gnu17 -D_GNU_SOURCE -fPIC -shared -o "$library" "$LIB/preload/sandbox-probe.c"
    loader=$(readelf -l "$BUILD/splitfd" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
    "$loader" --preload "$library" "$BUILD/splitfd" "$@" 2> "$SCRATCH/said" > /dev/null
    cat "$SCRATCH/said"
    grep '^probe: ' "$SCRATCH/said" > "$SCRATCH/probe"
}
assert_probe() { # WHAT=ERRNO…
    local want
    for want in "$@"; do
        grep -qxE "probe: ${want%=*} ${want#*=}" "$SCRATCH/probe" || { echo "not $want"; return 1; }
    done
}
