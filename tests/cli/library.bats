#!/usr/bin/env bats
# The installed library: found by pkg-config alone, from outside the tree, shared and static; what
# it exports is what its headers declare.

load ../lib/assert
TOP=${SPLITFD_TOP:-$(cd "${BATS_TEST_DIRNAME}/../.." && pwd)}

setup_file() {
    [ -z "${SANITIZED:-}" ] || { export SKIP_ALL="kernel: no shared library in a build for sanitizers"; return 0; }
    export DEST=$BATS_FILE_TMPDIR/dest
    # The last word about the places counts.
    make -s -C "$TOP" install DESTDIR="$DEST.first" PREFIX=/opt > /dev/null
    make -s -C "$TOP" install DESTDIR="$DEST" prefix=/usr > /dev/null
}

setup() { [ -z "${SKIP_ALL:-}" ] || skip "$SKIP_ALL"; }

pc() { PKG_CONFIG_PATH=$DEST/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DEST pkg-config "$@"; }

program() { # uses two rooms of the library
    cat > "$BATS_TEST_TMPDIR/p.c" <<'END'
#include <splitfdstream/digest.h>
#include <splitfdstream/version.h>
#include <transport/composefs/repository.h>
#include <stdio.h>
int main(void)
{
	struct splitfd_repository *repository;
	struct splitfd_error err = { 0 };
	char text[72];

	if (splitfd_sha256_text("abc", 3, text, &err) < 0)
		return 1;
	if (splitfd_repository_open("/nonexistent", false, &repository, &err) >= 0)
		return 1;
	printf("%s %s %d\n", SPLITFD_VERSION, text, (int)err.kind);
	return 0;
}
END
}
expected() {
    echo "$(sed -n 's/.*SPLITFD_VERSION "\(.*\)"/\1/p' "$TOP/splitfdstream/version.h")" \
        sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3
}

@test "a C program, shared, from outside the tree, without LD_LIBRARY_PATH" {
    program
    cd "$BATS_TEST_TMPDIR"
    cc -std=c11 -Wall -Werror p.c -o p $(pc --cflags --libs splitfd) -Wl,-rpath,"$DEST/usr/lib"
    run env -u LD_LIBRARY_PATH ./p
    [ "$output" = "$(expected)" ]
    readelf -d p | grep -q 'NEEDED.*libsplitfd.so.0'
}
@test "the same, static" {
    program
    cd "$BATS_TEST_TMPDIR"
    cc -std=c11 p.c -o p $(pc --cflags splitfd) "$DEST/usr/lib/libsplitfd.a" \
        $(pkg-config --libs $(pc --print-requires-private splitfd)) -pthread -ldl
    run ./p
    [ "$output" = "$(expected)" ]
    readelf -d p > dynamic
    grep -q NEEDED dynamic
    refute grep libsplitfd dynamic
}
@test "each installed header alone, as C11 and as C++17" {
    cd "$DEST/usr/include/splitfd"
    for h in $(find . -name '*.h'); do
        cc -std=c11 -Wall -Wextra -Werror -I. -fsyntax-only -x c "$h"
        c++ -std=c++17 -Wall -Wextra -Werror -Wno-pragma-once-outside-header -I. -fsyntax-only -x c++ "$h"
    done
}
@test "exported names and declared functions are the same, and carry the version of the map" {
    cd "$DEST/usr"
    nm -D --defined-only lib/libsplitfd.so.0 | awk '$2 == "T" { print $3 }' | sed 's/@@.*//' | sort > "$BATS_TEST_TMPDIR/exported"
    [ -s "$BATS_TEST_TMPDIR/exported" ]
    (cd include/splitfd && cat $(find . -name '*.h')) | gcc -fpreprocessed -dD -E -P - 2> /dev/null | tr '\n' ' ' |
        grep -oE '\bsplitfd_[a-z0-9_]+ ?\(' | tr -d ' (' | grep -vx splitfd_bytes_fn | sort -u > "$BATS_TEST_TMPDIR/declared"
    diff "$BATS_TEST_TMPDIR/declared" "$BATS_TEST_TMPDIR/exported"
    nm -D --defined-only --with-symbol-versions lib/libsplitfd.so.0 > "$BATS_TEST_TMPDIR/versions"
    assert_silent awk '$2 == "T" && $3 !~ /@@SPLITFD_/' "$BATS_TEST_TMPDIR/versions"
}
@test "programs, libraries and units name the place that they were installed for" {
    [ -x "$DEST.first/opt/bin/splitfd" ]
    grep -qx 'prefix=/opt' "$DEST.first/opt/lib/pkgconfig/splitfd.pc"
    grep -qx 'libdir=/usr/lib' "$DEST/usr/lib/pkgconfig/splitfd.pc"
    grep -q '^ExecStart=/usr/bin/splitfd ' "$DEST/usr/lib/systemd/system/splitfd-store.service"
}
@test "uninstall leaves nothing" {
    make -s -C "$TOP" uninstall DESTDIR="$DEST" prefix=/usr > /dev/null
    assert_silent find "$DEST" ! -type d
}
