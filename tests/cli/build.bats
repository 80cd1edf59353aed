#!/usr/bin/env bats
# What the build finds out about the machine, both ways. Nothing is built.

load ../lib/common

has_header() { printf '#include <%s>\n' "$1" | ${CC:-cc} -E - > /dev/null 2>&1; }

@test "intel-ipsec-mb: with its header, without it, and wanted without it" {
    local output hidden=-I$BATS_TEST_TMPDIR/hidden
    mkdir "$BATS_TEST_TMPDIR/hidden"
    echo '#error "not installed"' > "$BATS_TEST_TMPDIR/hidden/intel-ipsec-mb.h"
    if has_header intel-ipsec-mb.h; then
        assert_match 'SFD_WITH_IPSEC_MB=1 ' "$(make -C "$SPLITFD_TOP" -n V=1 -B build/default/splitfdstream/chunk.o)"
    fi
    output=$(make -C "$SPLITFD_TOP" -n V=1 -B CPPFLAGS="$hidden" build/default/splitfdstream/chunk.o)
    assert_match 'SFD_WITH_IPSEC_MB=0 ' "$output"
    output=$(make -C "$SPLITFD_TOP" -n V=1 -B WITH_IPSEC_MB=no build/default/splitfdstream/chunk.o)
    assert_match 'SFD_WITH_IPSEC_MB=0 ' "$output"
    output=$(refute make -C "$SPLITFD_TOP" -n CPPFLAGS="$hidden" WITH_IPSEC_MB=yes build/default/splitfdstream/chunk.o 2>&1)
    assert_match 'WITH_IPSEC_MB=yes, but intel-ipsec-mb is not installed' "$output"
}
