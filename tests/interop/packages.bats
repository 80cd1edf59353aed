#!/usr/bin/env bats
# contrib/debian and contrib/splitfd.spec: packages are built of an unpacked tarball, by the distributions' own
# tools; Debian's are installed and taken away again, over this machine's files but not in them.

load ../lib/common

setup_file() {
    require_root && require_program dh rpmbuild dpkg-buildpackage pkg-config go-md2man || return 0
    scratch_make
    VERSION=$(sed -n 's/.*SPLITFD_VERSION "\(.*\)"/\1/p' "$SPLITFD_TOP/splitfdstream/version.h")
    export VERSION TARBALL=$SCRATCH/splitfd-$VERSION.tar.gz
    cd "$SPLITFD_TOP"
    git ls-files -co --exclude-standard | while read -r f; do [ ! -e "$f" ] || printf '%s\n' "$f"; done |
        tar --transform "s|^|splitfd-$VERSION/|" -czf "$TARBALL" -T -
}
teardown_file() { scratch_drop; }

# What a package holds, a file a line, without folders and what every package has.
deb_files() { dpkg-deb -c "$1" | awk '$1 !~ /^d/ { print $6 }' | grep -v '^./usr/share/doc/' | LC_ALL=C sort; }

# A command in a namespace where / is this machine's with what is written kept aside.
aside() {
    unshare --mount bash -euc '
        mount -t tmpfs tmpfs "$1"; mkdir "$1"/{upper,work,root}
        mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
        for d in proc dev; do mount --rbind /$d "$1/root/$d"; done
        mkdir -p "$1/root/packages" && mount --bind "$2" "$1/root/packages"
        exec chroot "$1/root" bash -euc "$3"' aside "$BATS_TEST_TMPDIR" "$SCRATCH/deb" "$1"
}

@test "Debian: three packages, with what belongs in each, install and go without a trace" {
    mkdir "$SCRATCH/deb"
    tar -C "$SCRATCH/deb" -xf "$TARBALL"
    cd "$SCRATCH/deb/splitfd-$VERSION"
    cp -r contrib/debian debian
    # Without optimisation, to be quick; what hardens is checked below.
    DEB_BUILD_OPTIONS='nocheck noopt noautodbgsym parallel=2' dpkg-buildpackage -us -uc -b > "$SCRATCH/deb/log" 2>&1 ||
        { tail -n 40 "$SCRATCH/deb/log"; return 1; }
    cd ..
    ls *.deb
    local arch lib
    arch=$(dpkg --print-architecture)
    lib=./usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    assert_same "$lib/libsplitfd.so.0" "$(deb_files "libsplitfd0_$VERSION-1_$arch.deb")"
    assert_same "$lib/libsplitfd.a
$lib/libsplitfd.so
$lib/pkgconfig/splitfd.pc" "$(deb_files "libsplitfd-dev_$VERSION-1_$arch.deb" | grep -v '^./usr/include/splitfd/.*\.h$')"
    deb_files "splitfd_$VERSION-1_$arch.deb" > files
    assert_same "$(cd "$SPLITFD_TOP" && { echo ./usr/bin/splitfd; ls contrib/systemd | sed 's|^|./usr/lib/systemd/system/|'
        echo ./usr/share/bash-completion/completions/splitfd
        ls contrib/man | sed 's|\(.*\).md$|./usr/share/man/man1/\1.gz|'; } | LC_ALL=C sort)" "$(cat files)"
    dpkg-deb -f "splitfd_$VERSION-1_$arch.deb" Depends | grep -q 'libzstd1.*'
    aside '
        dpkg -i /packages/*.deb
        [ "$(splitfd --version | head -n 1)" = "splitfd '"$VERSION"'" ]
        [ "$(pkg-config --modversion splitfd)" = '"$VERSION"' ]
        systemd-analyze verify splitfd-store.socket splitfd-repository.socket
        [ ! -e /etc/systemd/system/sockets.target.wants/splitfd-store.socket ]
        readelf -dW /usr/bin/splitfd | grep -q "FLAGS_1.*NOW.*PIE"
        dpkg -P splitfd libsplitfd-dev libsplitfd0
        [ ! -e /usr/bin/splitfd ] && [ ! -e /usr/include/splitfd ]' < /dev/null
}

# Macros that Fedora has and the RPM of other distributions may not.
@test "RPM: the spec builds, and every installed file is in a package" {
    local top=$SCRATCH/rpm
    mkdir -p "$top/SOURCES"
    cp "$TARBALL" "$top/SOURCES"
    rpmbuild -bb --nodeps --without check --define "_topdir $top" --define '_auto_set_build_flags 1' \
        --define 'optflags -O0 -g' --define '_smp_mflags -j2' --define '_unitdir /usr/lib/systemd/system' \
        --define 'systemd_post() : %*' --define 'systemd_preun() : %*' --define 'systemd_postun() : %*' \
        --define 'debug_package %{nil}' "$SPLITFD_TOP/contrib/splitfd.spec" > "$top/log" 2>&1 ||
        { tail -n 40 "$top/log"; return 1; }
    refute grep -iE '^warning: (.*spec|File)' "$top/log"
    cd "$top"/RPMS/*
    ls > "$top/packages"
    [ "$(grep -cE "^splitfd(-libs|-devel)?-$VERSION-1.*\.rpm$" "$top/packages")" -eq 3 ]
    rpm -qp --provides splitfd-libs-*.rpm | grep -q '^libsplitfd.so.0(SPLITFD_'
    rpm -qp --requires splitfd-devel-*.rpm | grep -q "^splitfd-libs.* = $VERSION-1"
    rpm -qpl splitfd-"$VERSION"-*.rpm > "$top/files"
    grep -qxE '/usr/share/man/man1/splitfd-pull\.1(\.gz)?' "$top/files"
    grep -qx /usr/lib/systemd/system/splitfd-store.socket "$top/files"
}
