/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/sandbox.h"
#include "shim/common/sandbox-calls.h"
#include "shim/common/sandbox-capabilities.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#ifdef LANDLOCK_CREATE_RULESET_VERSION

/* From this version on links and renames between directories can be allowed. */
#define ABI_MIN 2

/* What came later than the oldest headers that we build with; the numbers are the kernel's. */
#define ABI_TRUNCATE	3
#define ABI_NET		4
#define ABI_DEVICES	5
#define ABI_SCOPE	6
#define ACCESS_REFER	(UINT64_C(1) << 13)
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_DEVICES	(UINT64_C(1) << 15)
#define NET_BIND_TCP	(UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT	(UINT64_C(1) << 0)
#define SCOPE_SIGNAL	(UINT64_C(1) << 1)

/* struct landlock_ruleset_attr as of ABI_SCOPE; earlier ones end earlier. */
struct ruleset {
	uint64_t files, net, scope;
};

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define SPOOL	(LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define WRITING                                                                                    \
	(SPOOL | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                  \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
		LANDLOCK_ACCESS_FS_MAKE_SYM | ACCESS_REFER)
/* What no rule gives back. */
#define NEVER                                                                                      \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                               \
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                     \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | ACCESS_DEVICES)
/* What a rule for a file may hold. */
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | SPOOL)

/* `handled`: what the ruleset takes away, and so can give back. */
static int add_rule(int ruleset, int fd, unsigned int access, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((access & (SFD_SANDBOX_READ | SFD_SANDBOX_WRITE)) != 0)
		rule.allowed_access |= READING;
	if ((access & SFD_SANDBOX_WRITE) != 0)
		rule.allowed_access |= WRITING;
	if ((access & SFD_SANDBOX_SPOOL) != 0)
		rule.allowed_access |= SPOOL | LANDLOCK_ACCESS_FS_READ_FILE;
	if ((access & SFD_SANDBOX_REMOVE) != 0)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
	rule.allowed_access &= S_ISDIR(st.st_mode) ? handled : handled & OF_FILES;
	if (rule.allowed_access == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	/* A pipe, a memfd: the kernel restricts no such file, and takes no rule for it. */
	return errno == EBADFD ? 0 : -errno;
}

/* What a library may open late: another library, its settings, what the kernel says of the machine.
 * What is not there needs no rule. */
static int add_system(int ruleset, uint64_t handled)
{
	static const struct {
		const char *path;
		unsigned int access;
	} rows[] = {
		{ "/dev/null", SFD_SANDBOX_SPOOL },
		{ "/dev/urandom", SFD_SANDBOX_READ },
		{ "/usr", SFD_SANDBOX_READ },
		{ "/lib", SFD_SANDBOX_READ },
		{ "/lib64", SFD_SANDBOX_READ },
		{ "/nix/store", SFD_SANDBOX_READ },
		{ "/gnu/store", SFD_SANDBOX_READ },
		{ "/etc/ld.so.cache", SFD_SANDBOX_READ },
		{ "/proc/self", SFD_SANDBOX_READ },
		{ "/proc/stat", SFD_SANDBOX_READ },
		{ "/proc/locks", SFD_SANDBOX_READ },
		{ "/proc/cpuinfo", SFD_SANDBOX_READ },
		{ "/proc/sys", SFD_SANDBOX_READ },
		{ "/sys/devices/system", SFD_SANDBOX_READ },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sfd_cleanup_fd int fd = open(rows[i].path, O_PATH | O_CLOEXEC);
		int r;

		if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
			continue;
		if (fd < 0)
			return -errno;
		r = add_rule(ruleset, fd, rows[i].access, handled);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Libraries from places of the user's own are opened late, too. */
static bool has_own_libraries(void)
{
	return getenv("LD_LIBRARY_PATH") != NULL || getenv("LD_PRELOAD") != NULL;
}

static int make_ruleset(struct ruleset *handled, int abi)
{
	size_t size = sizeof(*handled);

	if (abi < ABI_TRUNCATE)
		handled->files &= ~ACCESS_TRUNCATE;
	if (abi < ABI_DEVICES)
		handled->files &= ~ACCESS_DEVICES;
	if (abi < ABI_SCOPE)
		size = offsetof(struct ruleset, scope);
	if (abi < ABI_NET)
		size = offsetof(struct ruleset, net);
	return (int)syscall(SYS_landlock_create_ruleset, handled, size, 0);
}

static bool restrict_files(const struct sfd_sandbox *sandbox)
{
	struct ruleset handled = { .files = WRITING | NEVER,
		.net = NET_BIND_TCP | NET_CONNECT_TCP,
		.scope = SCOPE_ABSTRACT | (sandbox->signals ? 0 : SCOPE_SIGNAL) };
	int abi =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	sfd_cleanup_fd int ruleset = -EBADF;
	int r = 0;

	if (abi < ABI_MIN)
		return false;
	if (sandbox->read_rules && !has_own_libraries())
		handled.files |= READING;
	ruleset = make_ruleset(&handled, abi);
	if (ruleset < 0)
		return false;
	for (size_t i = 0; r == 0 && i < sandbox->n; i++) {
		const struct sfd_sandbox_rule *rule = &sandbox->rules[i];

		if (rule->fd >= 0)
			r = add_rule(ruleset, rule->fd, rule->access, handled.files);
	}
	if (r == 0)
		r = add_system(ruleset, handled.files);
	return r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

#else

static bool restrict_files(const struct sfd_sandbox *sandbox)
{
	(void)sandbox;
	return false;
}

#endif

bool sfd_sandbox_enter(const struct sfd_sandbox *sandbox)
{
	int saved = errno;
	bool files = false, calls = false;

	if (!SANITIZED && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
		(void)sfd_sandbox_capabilities(sandbox->capabilities);
		calls = sfd_sandbox_calls();
		files = restrict_files(sandbox);
	}
	errno = saved;
	return files || calls;
}
