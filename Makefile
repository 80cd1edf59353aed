# splitfd: GNU make. `make help` lists targets and variables.
#
# Targets:
#   all (default)  build/splitfd and libsplitfd (shared, static)
#   check          what needs neither root nor peers: unit, cli, fuzz corpus, headers, abi, lint
#   check-all      check, then everything that needs root and the real peers
#   tars           1,000,000 generated tars (TARS=, SEED=) against Go's archive/tar: minutes
#   fuzz           TARGET= (all of tests/fuzz, one after the other) for SECONDS= each, ENGINE=libfuzzer|afl
#   fault          every fault of tests/fault: hours; SEED=, PART=REGEX (tests/fault/whole says more)
#   machine        SCRIPT= as root under another kernel, in QEMU (KERNEL=6.1|newest); machine-shell: a shell
#   bench          tests/bench against the real peers (prints ratios, judges nothing)
#   install, uninstall   with DESTDIR, prefix, bindir, libdir, includedir, mandir, …
#   format, tidy, cppcheck, dist, clean, help
#
# Variables:
#   SANITIZE=address,undefined | thread   a build of its own below build/, also for check and check-all
#   WERROR=1       warnings are errors (CI sets it)
#   WITH_IPSEC_MB=auto|yes|no, WITH_SECCOMP=auto|yes|no
#   CC_FOR_BUILD, PKG_CONFIG_FOR_BUILD   for a cross build: of the machine that builds, with its libseccomp
#   CC, CFLAGS, CPPFLAGS, LDFLAGS, V=1
#   config.mk (not in git) may set any of them

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
-include config.mk

prefix      ?= $(or $(PREFIX),/usr/local)
bindir      ?= $(prefix)/bin
libdir      ?= $(prefix)/lib
includedir  ?= $(prefix)/include
datadir     ?= $(prefix)/share
mandir      ?= $(datadir)/man
unitdir     ?= $(prefix)/lib/systemd/system
CC          := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS      ?= -O2 -g
PKG_CONFIG  ?= pkg-config
CC_FOR_BUILD ?= $(CC)
PKG_CONFIG_FOR_BUILD ?= $(PKG_CONFIG)
INSTALL     ?= install
SANITIZE    ?=
WITH_IPSEC_MB ?= auto
WITH_SECCOMP ?= auto

comma := ,
known_sanitizers := address undefined thread leak
unknown := $(filter-out $(known_sanitizers),$(subst $(comma), ,$(SANITIZE)))
ifneq ($(unknown),)
$(error unknown sanitizer '$(unknown)'; known: $(known_sanitizers))
endif

VERSION := $(shell sed -n 's/^.define SPLITFD_VERSION "\(.*\)"/\1/p' splitfdstream/version.h)
SOVERSION := 0
# Set by `make fuzz` for its own builds: libfuzzer or afl.
FUZZ_ENGINE ?=
VARIANT := $(if $(FUZZ_ENGINE),fuzz-$(FUZZ_ENGINE),$(if $(SANITIZE),$(subst $(comma),-,$(SANITIZE)),default))
B := build/$(VARIANT)

no_build_goals := clean fuzz help dist format uninstall print-public-headers
ifneq ($(filter-out $(no_build_goals),$(or $(MAKECMDGOALS),all)),)
# liblzma, libbz2 and intel-ipsec-mb are opened at run time by those who need them: their headers suffice.
linked := libzstd libcjson libcrypto libisal
required := liblzma $(linked)
missing := $(strip $(foreach p,$(required),$(if $(shell $(PKG_CONFIG) --exists $(p) && echo y),,$(p))))
ifneq ($(missing),)
$(error missing libraries: $(missing); contrib/install-deps installs them or says what to install)
endif
# As a variable: a backslash in front of it stays there with some versions of make.
hash := \#
# Some distributions have no bzip2.pc.
ifeq ($(shell printf '$(hash)include <bzlib.h>\n' | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo y),)
$(error missing libraries: libbz2; contrib/install-deps installs it or says what to install)
endif
have_ipsec_mb := $(shell printf '$(hash)include <intel-ipsec-mb.h>\n' | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo y)
ifeq ($(WITH_IPSEC_MB)$(have_ipsec_mb),yes)
$(error WITH_IPSEC_MB=yes, but intel-ipsec-mb is not installed)
endif
ipsec_mb := $(if $(filter no,$(WITH_IPSEC_MB)),,$(have_ipsec_mb))
# libseccomp makes the filter for the target machine at build time; the program does without it.
seccomp_arch := $(filter-out $(hash)%,$(shell printf '%s\n' '$(hash)if __x86_64__ && __ILP32__' arch:x32 \
	'$(hash)elif __x86_64__' arch:x86_64 '$(hash)elif __i386__' arch:x86 '$(hash)elif __aarch64__' arch:aarch64 \
	'$(hash)elif __arm__' arch:arm '$(hash)elif __powerpc64__ && __LITTLE_ENDIAN__' arch:ppc64le \
	'$(hash)elif __s390x__' arch:s390x '$(hash)elif __riscv && __riscv_xlen == 64' arch:riscv64 \
	'$(hash)elif __loongarch64' arch:loongarch64 '$(hash)endif' | $(CC) $(CPPFLAGS) $(CFLAGS) -E -P -))
seccomp_arch := $(patsubst arch:%,%,$(filter arch:%,$(seccomp_arch)))
have_seccomp := $(if $(seccomp_arch),$(shell $(PKG_CONFIG_FOR_BUILD) --atleast-version=2.5 libseccomp && echo y))
ifeq ($(WITH_SECCOMP)$(have_seccomp),yes)
$(error WITH_SECCOMP=yes, but libseccomp 2.5 or newer is not installed, or does not know this machine)
endif
seccomp := $(if $(filter no,$(WITH_SECCOMP)),,$(have_seccomp))
packages := $(linked)
pkg_cflags := $(shell $(PKG_CONFIG) --cflags $(required))
pkg_libs := $(shell $(PKG_CONFIG) --libs $(linked))
endif

warnings := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wwrite-strings -Wundef -Wformat=2 -Wcast-qual -Wno-missing-field-initializers \
	-Wno-unknown-warning-option -Wno-format-truncation \
	$(if $(filter 1,$(WERROR)),-Werror)
our_cppflags := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. \
	-DSFD_WITH_IPSEC_MB=$(if $(ipsec_mb),1,0) -DSFD_WITH_SECCOMP=$(if $(seccomp),1,0) $(pkg_cflags)
# The program's bytes do not depend on the folder that it is built in. Nothing unwinds the stack at run
# time, and debug information has its own tables: those that are always loaded are an eighth of the program.
our_cflags := -std=gnu17 -fPIC -pthread -fno-asynchronous-unwind-tables -fno-unwind-tables -fstack-protector-strong -ffile-prefix-map='$(CURDIR)'=. $(warnings)
our_ldflags := -pthread
# libm only where the compiler has not put floor() into the code itself.
libs := $(pkg_libs) -ldl -Wl,--push-state,--as-needed -lm -Wl,--pop-state
ifneq ($(SANITIZE),)
our_cflags += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
our_ldflags += -fsanitize=$(SANITIZE)
endif

# An engine brings its own main(); both understand clang's option.
ifneq ($(FUZZ_ENGINE),)
our_cflags += $(if $(filter libfuzzer,$(FUZZ_ENGINE)),-fsanitize=fuzzer-no-link)
endif
fuzz_main := $(if $(FUZZ_ENGINE),,$(B)/tests/fuzz/replay.o)

# Rooms lie at any depth.
lib_src := $(sort $(shell find splitfdstream transport -name '*.c'))
filter_src := shim/common/seccomp-filter.c
shim_src := $(filter-out $(filter_src),$(sort $(shell find shim -name '*.c')))
unit_src := $(wildcard tests/unit/test-*.c)
# What is compared with zlib needs it.
zlib := $(shell $(PKG_CONFIG) --exists zlib && echo yes)
fuzz_src := $(filter-out $(if $(zlib),,tests/fuzz/fuzz-gzip.c),$(wildcard tests/fuzz/fuzz-*.c))
malloc_fail := $(B)/tests/fault/malloc-fail.so
helper_src := $(filter-out tests/fault/malloc-fail.c,$(wildcard tests/lib/*.c tests/fault/*.c tests/bench/*.c))
lib_obj := $(lib_src:%.c=$(B)/%.o)
filter_obj := $(if $(seccomp),$(B)/seccomp-calls.o)
shim_obj := $(shim_src:%.c=$(B)/%.o) $(filter_obj)
unit_bin := $(unit_src:tests/unit/%.c=$(B)/tests/unit/%)
fuzz_bin := $(fuzz_src:tests/fuzz/%.c=$(B)/tests/fuzz/%)
helper_bin := $(helper_src:%.c=$(B)/%)
private_headers := splitfdstream/chunk-cleanup.h splitfdstream/wire-buffer.h splitfdstream/wire-cursor.h splitfdstream/wire-header.h splitfdstream/wire-formats.h splitfdstream/pump.h \
	splitfdstream/dir-files.h splitfdstream/chunk-content.h
public_headers := splitfdstream/base/error.h $(filter-out $(private_headers),$(wildcard splitfdstream/*.h)) \
	transport/containers-storage/store.h transport/composefs/repository.h transport/composefs/object-digest.h transport/copy/copy.h transport/rpc/fdpass.h
program := $(B)/splitfd
static_lib := $(B)/libsplitfd.a
shared_lib := $(B)/libsplitfd.so.$(SOVERSION)
Q := $(if $(V),,@)

# The default variant's program is also build/splitfd.
all: $(program) $(static_lib) $(if $(SANITIZE),,$(shared_lib) $(B)/libsplitfd.so build/splitfd)

build/splitfd: build/default/splitfd
	$(Q)ln -sfn default/splitfd $@

# Stamps: rewritten only when their text changes.
flags_text := $(CC) $(CC_FOR_BUILD) $(seccomp_arch) $(CPPFLAGS) $(our_cppflags) $(our_cflags) $(CFLAGS) $(our_ldflags) $(LDFLAGS) $(libs) $(VERSION)
sources_text := $(lib_src) $(shim_src)
define stamp
$(B)/.$(1): FORCE
	@mkdir -p $$(@D); printf '%s\n' '$$($(1)_text)' | cmp -s - $$@ || printf '%s\n' '$$($(1)_text)' > $$@
endef
$(eval $(call stamp,flags))
$(eval $(call stamp,sources))

$(B)/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $<")
	$(Q)$(CC) $(our_cppflags) $(CPPFLAGS) $(our_cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

# The filter is for the machine that the program is for; what makes it runs here.
$(B)/seccomp-filter: $(filter_src) $(B)/.flags
	$(if $(V),,@echo "  CC $<")
	$(Q)$(CC_FOR_BUILD) -std=gnu17 -D_GNU_SOURCE $(warnings) $(shell $(PKG_CONFIG_FOR_BUILD) --cflags libseccomp) \
		-o $@ $< $(shell $(PKG_CONFIG_FOR_BUILD) --libs libseccomp)
$(B)/seccomp-calls.c: $(B)/seccomp-filter
	$(Q)$< $(seccomp_arch) > $@
$(B)/seccomp-calls.o: $(B)/seccomp-calls.c $(B)/.flags
	$(Q)$(CC) $(our_cppflags) $(CPPFLAGS) $(our_cflags) $(CFLAGS) -c -o $@ $<

$(static_lib): $(lib_obj) $(B)/.sources
	$(if $(V),,@echo "  AR $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $(lib_obj)

$(program): $(shim_obj) $(static_lib)
	$(if $(V),,@echo "  LD $@")
	$(Q)$(CC) $(our_cflags) $(CFLAGS) $(our_ldflags) $(LDFLAGS) -o $@ $^ $(libs)

$(shared_lib): $(lib_obj) splitfdstream/libsplitfd.map $(B)/.sources
	$(if $(V),,@echo "  LD $@")
	$(Q)$(CC) -shared $(our_cflags) $(CFLAGS) $(our_ldflags) $(LDFLAGS) -Wl,-soname,libsplitfd.so.$(SOVERSION) \
		-Wl,--version-script=splitfdstream/libsplitfd.map -Wl,-z,defs -o $@ $(lib_obj) $(libs)

$(B)/libsplitfd.so: $(shared_lib)
	$(Q)ln -sfn libsplitfd.so.$(SOVERSION) $@

$(unit_bin) $(helper_bin): $(B)/%: $(B)/%.o $(static_lib)
	$(Q)$(CC) $(our_cflags) $(CFLAGS) $(our_ldflags) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(static_lib) $(libs)
$(fuzz_bin): $(B)/%: $(B)/%.o $(fuzz_main) $(static_lib)
	$(Q)$(CC) $(our_cflags) $(CFLAGS) $(our_ldflags) $(LDFLAGS) $(if $(FUZZ_ENGINE),-fsanitize=fuzzer) -o $@ $(filter-out %.a,$^) $(static_lib) $(libs)
# The one target that is a server of the program.
$(B)/tests/fuzz/fuzz-proxy: $(filter-out $(B)/shim/main.o $(B)/shim/cmds/%,$(shim_obj))
$(B)/tests/fuzz/fuzz-gzip: libs += $(if $(zlib),$(shell $(PKG_CONFIG) --libs zlib))

# Parts of the program itself that have a unit test.
$(B)/tests/unit/test-confined-child: $(filter-out $(B)/shim/main.o $(B)/shim/cmds/%,$(shim_obj))
$(B)/tests/unit/test-sandbox: $(B)/shim/common/sandbox.o $(B)/shim/common/sandbox-calls.o $(B)/shim/common/sandbox-capabilities.o $(filter_obj)

# Without flags of sanitizers, which bring an allocator of their own.
$(malloc_fail): tests/fault/malloc-fail.c $(B)/.flags
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -fPIC -shared -fno-builtin $(warnings) -O2 -o $@ $< -ldl

test-programs: $(unit_bin) $(fuzz_bin) $(helper_bin) $(malloc_fail)

check: all test-programs
	$(Q)BUILD=$(B) WERROR=1 tests/run check
check-all: all test-programs
	$(Q)BUILD=$(B) WERROR=1 tests/run all
fuzz:
	$(Q)MAKE='$(MAKE)' ENGINE=$(or $(ENGINE),libfuzzer) tests/fuzz/campaign '$(TARGET)' $(or $(SECONDS),60)
fault: all test-programs
	$(Q)BUILD=$(B) SEED='$(SEED)' PART='$(PART)' tests/fault/whole
tars: all test-programs
	$(Q)BUILD=$(B) TARS=$(or $(TARS),1000000) SEED='$(SEED)' tests/interop/tar-go/campaign
machine: all test-programs
	$(Q)$(if $(SCRIPT),,echo 'machine: SCRIPT=FILE says what to run' >&2; exit 2;) \
		BUILD=$(B) tests/lib/machine --kernel $(or $(KERNEL),newest) $(MACHINE) $(SCRIPT)
machine-shell: all test-programs
	$(Q)BUILD=$(B) tests/lib/machine --kernel $(or $(KERNEL),newest) $(MACHINE) --shell
bench: all test-programs
	$(Q)BUILD=$(B) tests/run bench

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
tidy:
	$(Q)tests/static tidy '$(our_cppflags) $(our_cflags)'
cppcheck:
	$(Q)tests/static cppcheck '$(our_cppflags)'

include contrib/install.mk

dist:
	$(Q)test -z "$$(git status --porcelain)" || { echo 'dist: the tree is not clean' >&2; exit 1; }
	mkdir -p build && git archive --prefix=splitfd-$(VERSION)/ HEAD | gzip -n > build/splitfd-$(VERSION).tar.gz
clean:
	rm -rf build
help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

-include $(lib_obj:.o=.d) $(shim_obj:.o=.d) $(unit_bin:=.d) $(fuzz_bin:=.d) $(helper_bin:=.d)
print-public-headers:
	@echo $(public_headers)
FORCE:
.PHONY: all check check-all fault fuzz machine machine-shell tars bench test-programs format tidy cppcheck install uninstall dist clean help FORCE
.SECONDARY:
