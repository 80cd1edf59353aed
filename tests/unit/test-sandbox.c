/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/sandbox-calls.h"
#include "shim/common/sandbox-capabilities.h"
#include "shim/common/sandbox.h"
#include "splitfdstream/base/cleanup.h"
#include "tests/unit/check.h"
#include "tests/unit/temp-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static int abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
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

static int socket_error(int family)
{
	sfd_cleanup_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : 0;
}

/* Runs in a process of its own: there is no way back. Its exit status is the line that is wrong. */
#define WANT(call, error)                                                                          \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((call) != (error))                                                             \
			_exit(__LINE__ % 256);                                                     \
	} while (0)

static int binds(const char *path)
{
	sfd_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ? errno : 0;
}

/* A name without a file, which begins with a zero byte. */
static int connects_abstract(const struct sockaddr_un *name)
{
	sfd_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? errno : 0;
}

static const char *below(const char *dir, const char *name)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_there(const char *dir)
{
	const char *a = below(dir, "sub/a"), *b = below(dir, "b");

	WANT(opens(a, O_WRONLY | O_CREAT), 0);
	WANT(opens(a, O_RDONLY), 0);
	WANT(opens(a, O_WRONLY | O_TRUNC), 0);
	WANT(opens(dir, O_RDWR | O_TMPFILE), 0);
	WANT(error_of(link(a, b)), 0);
	WANT(error_of(unlink(b)), 0);
	WANT(error_of(rename(a, b)), 0);
	WANT(error_of(symlink("x", a)), 0);
	WANT(error_of(mkdir(below(dir, "new"), 0755)), 0);
	/* Writing is for files: what stands for a device or a process is not made. */
	WANT(binds(below(dir, "socket")), EACCES);
	WANT(error_of(mkfifo(below(dir, "fifo"), 0600)), SFD_WITH_SECCOMP ? EPERM : EACCES);
}

static void write_not_there(const char *dir)
{
	const char *new = below(dir, "new");

	WANT(opens(below(dir, "file"), O_WRONLY), EACCES);
	WANT(opens(dir, O_RDWR | O_TMPFILE), EACCES);
	WANT(opens(new, O_WRONLY | O_CREAT), EACCES);
	WANT(error_of(mkdir(new, 0755)), EACCES);
	WANT(error_of(symlink("x", new)), EACCES);
	WANT(error_of(unlink(below(dir, "file"))), EACCES);
	WANT(binds(new), EACCES);
	if (abi() >= 3)
		WANT(error_of(truncate(below(dir, "file"), 0)), EACCES);
}

static void keep_aside_there(const char *dir)
{
	WANT(opens(dir, O_RDWR | O_TMPFILE), 0);
	WANT(opens(below(dir, "new"), O_RDWR | O_CREAT), EACCES);
	WANT(error_of(unlink(below(dir, "file"))), EACCES);
}

static void remove_there(const char *dir)
{
	const char *new = below(dir, "new");

	WANT(binds(new), EACCES);
	WANT(error_of(unlink(below(dir, "file"))), 0);
	WANT(opens(new, O_WRONLY | O_CREAT), EACCES);
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
	WANT(socket_error(AF_INET), EPERM);
	WANT(socket_error(AF_NETLINK), EPERM);
	WANT(socket_error(AF_UNIX), 0);
}

static int maps(int protection)
{
	void *at = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? errno : 0;
}

/* Code that a process could have written itself; a library's is mapped as it is. */
static void code_is_not_made(void)
{
	sfd_cleanup_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	WANT(at == MAP_FAILED, false);
	WANT(maps(PROT_READ | PROT_WRITE), 0);
	WANT(maps(PROT_READ | PROT_WRITE | PROT_EXEC), EPERM);
	WANT(error_of(mprotect(at, 4096, PROT_READ | PROT_EXEC)), EPERM);
	WANT(error_of(mprotect(at, 4096, PROT_READ)), 0);
	WANT(error_of(pkey_mprotect(at, 4096, PROT_EXEC, -1)), EPERM);
	WANT(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, self, 0) == MAP_FAILED, false);
}

/* What would make a file run as somebody else, or be somebody else's. */
static void rights_are_not_given(const char *path)
{
	sfd_cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);

	WANT(fd >= 0, true);
	WANT(error_of(fchmod(fd, 0644)), 0);
	WANT(error_of(fchmod(fd, S_ISUID | 0755)), EPERM);
	WANT(error_of(fchmod(fd, S_ISGID | 0755)), EPERM);
	WANT(error_of(fchmod(fd, 0664)), EPERM);
	WANT(error_of(fchmod(fd, 0646)), EPERM);
	WANT(error_of(chmod(path, 0644)), EPERM);
	WANT(error_of(fchmodat(AT_FDCWD, path, S_ISUID | 0755, 0)), EPERM);
	WANT(error_of(syscall(452, fd, "", S_ISUID | 0755, AT_EMPTY_PATH)), EPERM); /* fchmodat2 */
	WANT(error_of(open("/dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, S_ISUID | 0755)), EPERM);
	WANT(error_of(open(temp_path(""), O_WRONLY | O_TMPFILE | O_CLOEXEC, S_ISGID | 0755)),
		EPERM);
	WANT(error_of(chown(path, getuid(), getgid())), EPERM);
	WANT(error_of(lchown(path, getuid(), getgid())), EPERM);
	WANT(error_of(fchown(fd, getuid(), getgid())), EPERM);
	WANT(error_of(fchownat(AT_FDCWD, path, getuid(), getgid(), 0)), EPERM);
	WANT(error_of(setxattr(path, "user.a", "", 0, 0)), EPERM);
	WANT(error_of(fsetxattr(fd, "security.capability", "", 0, 0)), EPERM);
	WANT(error_of(syscall(463, AT_FDCWD, path, 0, "user.a", NULL, 0)), EPERM); /* setxattrat */
	WANT(error_of(fremovexattr(fd, "user.a")), EPERM);
	WANT(error_of(mknod(temp_path("node"), S_IFREG | 0600, 0)), EPERM);
}

/* Memory of others, whoever may trace them; signals, and what a name can reach without a file. */
static void others_are_closed(pid_t other, const struct sockaddr_un *abstract)
{
	const int scoped = abi() >= 6 ? EPERM : 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)other);
	WANT(opens(path, O_RDONLY), EACCES);
	WANT(error_of(kill(other, 0)), scoped);
	WANT(error_of(kill(getpid(), 0)), 0);
	WANT(connects_abstract(abstract), scoped);
}

/* 0, or the number after that of one which is left and should not be: effective, permitted,
 * bounding. */
static int capabilities_are(uint64_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	for (unsigned int i = 0; i < 64; i++) {
		bool has = (data[i / 32].permitted >> (i % 32) & 1) != 0;

		if (has && (kept & SFD_CAPABILITY(i)) == 0)
			return (int)i + 1;
		if (((data[i / 32].effective ^ data[i / 32].permitted) >> (i % 32) & 1) != 0 ||
			(data[i / 32].inheritable >> (i % 32) & 1) != 0)
			return (int)i + 1;
		/* The bounding set can be made smaller by root only. */
		if (geteuid() == 0 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 &&
			(kept & SFD_CAPABILITY(i)) == 0)
			return (int)i + 1;
	}
	return 0;
}

static void in_the_sandbox(bool read_rules, const struct sockaddr_un *abstract)
{
	const char *written = temp_path("written"), *read_only = temp_path("read");
	const char *aside = temp_path("aside"), *sockets = temp_path("sockets");
	const struct sfd_sandbox_rule rules[] = {
		{ open(written, O_PATH | O_DIRECTORY), SFD_SANDBOX_WRITE },
		{ open(read_only, O_PATH | O_DIRECTORY), SFD_SANDBOX_READ },
		{ open(aside, O_PATH | O_DIRECTORY), SFD_SANDBOX_SPOOL },
		{ open(sockets, O_PATH | O_DIRECTORY), SFD_SANDBOX_REMOVE },
		{ open(temp_path("one/file"), O_PATH), SFD_SANDBOX_READ },
		{ -EBADF, SFD_SANDBOX_WRITE },
	};
	const int outside = read_rules ? EACCES : 0;
	int held = open("/etc/shadow", O_RDONLY | O_CLOEXEC), byte = 0;
	pid_t parent = getppid();

	if (held < 0)
		held = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	WANT(sfd_sandbox_enter(&(struct sfd_sandbox){ .rules = rules,
		     .n = 6,
		     .read_rules = read_rules,
		     .capabilities = SFD_CAPABILITY(CAP_DAC_OVERRIDE) }),
		true);
	WANT(capabilities_are(SFD_CAPABILITY(CAP_DAC_OVERRIDE)), 0);
	write_there(written);
	write_not_there(read_only);
	write_not_there(temp_path("one"));
	keep_aside_there(aside);
	remove_there(sockets);
	WANT(opens(below(read_only, "file"), O_RDONLY), 0);
	WANT(opens(temp_path("one/file"), O_RDONLY), 0);
	WANT(opens(temp_path("one/other"), O_RDONLY), outside);
	WANT(opens("/etc/passwd", O_RDONLY), outside);
	WANT(opens("/", O_RDONLY | O_DIRECTORY), outside);
	WANT(opens("/dev/null", O_RDWR), 0);
	others_are_closed(parent, abstract);
	/* What was open stays so. */
	WANT(read(held, &byte, 1), 1);
	_exit(0);
}

static void *thread(void *ctx)
{
	*(int *)ctx = opens(temp_path("read/new"), O_WRONLY | O_CREAT);
	return NULL;
}

/* Threads that are started later are in it, too. */
static void thread_in_the_sandbox(void)
{
	int error = -1;
	pthread_t id;

	WANT(sfd_sandbox_enter(&(struct sfd_sandbox){ .signals = true }), true);
	WANT(capabilities_are(0), 0);
	WANT(error_of(kill(getppid(), 0)), 0);
	WANT(pthread_create(&id, NULL, thread, &error), 0);
	WANT(pthread_join(id, NULL), 0);
	WANT(error, EACCES);
	_exit(0);
}

static void without_calls(void)
{
	WANT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	WANT(sfd_sandbox_calls(), true);
	refused_calls();
	rights_are_not_given(temp_path("one/file"));
	code_is_not_made();
	_exit(0);
}

/* A listening socket without a file; *ret is its name. */
static int listen_abstract(struct sockaddr_un *ret)
{
	sfd_cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "splitfd-test-%d", getpid());
	CHECK_INT(bind(fd, (const struct sockaddr *)ret, sizeof(*ret)), 0);
	CHECK_INT(listen(fd, 8), 0);
	return sfd_take_fd(&fd);
}

static int run_in_child(int what)
{
	struct sockaddr_un abstract;
	sfd_cleanup_fd int listening = listen_abstract(&abstract);
	int status = -1;
	pid_t pid;

	temp_make();
	temp_file("written/sub/x", "");
	temp_file("read/file", "x");
	temp_file("aside/file", "x");
	temp_file("sockets/file", "");
	temp_file("one/file", "x");
	temp_file("one/other", "x");
	pid = fork();
	if (pid == 0 && what == 2)
		without_calls();
	if (pid == 0 && what == 3)
		thread_in_the_sandbox();
	if (pid == 0)
		in_the_sandbox(what == 1, &abstract);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(only_the_rules_are_read_and_written)
{
	if (!SANITIZED && abi() >= 2)
		CHECK_INT(run_in_child(1), 0);
}

TEST(all_is_read_only_the_rules_are_written)
{
	if (!SANITIZED && abi() >= 2)
		CHECK_INT(run_in_child(0), 0);
}

TEST(system_calls_are_refused)
{
	if (!SANITIZED && SFD_WITH_SECCOMP)
		CHECK_INT(run_in_child(2), 0);
}

TEST(threads_are_in_it)
{
	if (!SANITIZED && abi() >= 2)
		CHECK_INT(run_in_child(3), 0);
}
