/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/sandbox.h"
#include "tests/unit/check.h"
#include "tests/unit/temp-dir.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool unsupported(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2;
#endif
}

/* 0, or the errno of an attempt. */
static int opens(const char *path, int flags)
{
	sfd_cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0644);

	return fd < 0 ? errno : 0;
}

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

/* Runs in a process of its own: there is no way back. The number of the line that is wrong. */
#define WANT(call, error)                                                                          \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((call) != (error))                                                             \
			_exit(__LINE__ % 256);                                                     \
	} while (0)

static void write_below(const char *below, const char *beside)
{
	char a[512], b[512], other[512];

	(void)snprintf(a, sizeof(a), "%s/sub/a", below);
	snprintf(b, sizeof(b), "%s/b", below);
	snprintf(other, sizeof(other), "%s/new", beside);
	WANT(opens(a, O_WRONLY | O_CREAT), 0);
	WANT(opens(a, O_RDONLY), 0);
	WANT(opens(below, O_RDWR | O_TMPFILE), 0);
	WANT(error_of(link(a, b)), 0);
	WANT(error_of(unlink(b)), 0);
	WANT(error_of(rename(a, b)), 0);
	WANT(error_of(symlink("x", a)), 0);
	WANT(opens(other, O_WRONLY | O_CREAT), EACCES);
	WANT(error_of(mkdir(other, 0755)), EACCES);
	WANT(error_of(symlink("x", other)), EACCES);
}

static void refused_calls(void)
{
	char name[] = "true", *const argv[] = { name, NULL };

	WANT(error_of(execve("/bin/true", argv, argv + 1)), EPERM);
	WANT(error_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL)), EPERM);
	WANT(error_of(umount2("/nowhere", 0)), EPERM);
	WANT(error_of(syscall(SYS_bpf, 0, NULL, 0)), EPERM);
	WANT(error_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0)), EPERM);
	WANT(error_of(setuid(getuid())), EPERM);
}

static void in_the_sandbox(enum sfd_sandbox_reading reading, const char *below, const char *beside)
{
	struct sfd_sandbox_rule rules[] = { { open(below, O_PATH | O_DIRECTORY), true },
		{ open(beside, O_PATH | O_DIRECTORY), false } };
	const int outside = reading == SFD_SANDBOX_READ_RULES ? EACCES : 0;
	char file[512];
	int held = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char byte;

	snprintf(file, sizeof(file), "%s/file", beside);
	sfd_sandbox_enter(rules, 2, reading);
	write_below(below, beside);
	refused_calls();
	WANT(opens(file, O_RDONLY), 0);
	WANT(opens(file, O_WRONLY), EACCES);
	WANT(opens("/etc/passwd", O_RDONLY), outside);
	WANT(opens("/", O_RDONLY | O_DIRECTORY), outside);
	/* What was open stays so. */
	WANT(read(held, &byte, 1) == 1, true);
	_exit(0);
}

static int run_in_child(enum sfd_sandbox_reading reading)
{
	int status = -1;
	pid_t pid;

	temp_make();
	temp_file("below/sub/x", "");
	temp_file("beside/file", "");
	pid = fork();
	if (pid == 0)
		in_the_sandbox(reading, temp_path("below"), temp_path("beside"));
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(only_the_rules_are_read_and_written)
{
	if (!unsupported())
		CHECK_INT(run_in_child(SFD_SANDBOX_READ_RULES), 0);
}

TEST(all_is_read_only_the_rules_are_written)
{
	if (!unsupported())
		CHECK_INT(run_in_child(SFD_SANDBOX_READ_ALL), 0);
}
