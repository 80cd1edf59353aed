/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/sandbox.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/sandbox-calls.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* From this version on links and renames between folders can be allowed. */
#define LANDLOCK_ABI_MIN 2

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                    \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                    \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                      \
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |                      \
		LANDLOCK_ACCESS_FS_REFER)

static int add_rule(int ruleset, int fd, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = fd,
	};

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

/* What a library may read late: another library, its settings, what the kernel says of the
 * machine. What is not there needs no rule. */
static int add_system(int ruleset)
{
	static const char *const paths[] = { "/usr", "/lib", "/lib64", "/lib32", "/nix/store",
		"/etc/ld.so.cache", "/etc/ssl/openssl.cnf", "/proc", "/sys/devices/system",
		"/dev/null", "/dev/urandom" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		sfd_cleanup_fd int fd = open(paths[i], O_PATH | O_CLOEXEC);
		struct stat st;
		int r;

		if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
		r = add_rule(
			ruleset, fd, S_ISDIR(st.st_mode) ? READING : LANDLOCK_ACCESS_FS_READ_FILE);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Libraries from places of the user's own are loaded late, too. */
static bool has_own_libraries(void)
{
	return getenv("LD_LIBRARY_PATH") != NULL || getenv("LD_PRELOAD") != NULL;
}

static void restrict_files(
	const struct sfd_sandbox_rule *rules, size_t n, enum sfd_sandbox_reading reading)
{
	struct landlock_ruleset_attr handled = { .handled_access_fs = WRITING |
								      LANDLOCK_ACCESS_FS_EXECUTE };
	sfd_cleanup_fd int ruleset = -EBADF;
	uint64_t read = 0;
	int r = 0;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) <
		LANDLOCK_ABI_MIN)
		return;
	if (reading == SFD_SANDBOX_READ_RULES && !has_own_libraries())
		read = READING;
	handled.handled_access_fs |= read;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset < 0)
		return;
	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t access = read | (rules[i].write ? WRITING : 0);

		if (access != 0)
			r = add_rule(ruleset, rules[i].fd, access);
	}
	if (r == 0 && read != 0)
		r = add_system(ruleset);
	if (r == 0)
		(void)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

void sfd_sandbox_enter(
	const struct sfd_sandbox_rule *rules, size_t n, enum sfd_sandbox_reading reading)
{
	int saved = errno;

	if (!SANITIZED && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
		restrict_files(rules, n, reading);
		sfd_sandbox_calls();
	}
	errno = saved;
}
