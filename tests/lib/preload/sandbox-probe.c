/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for ld.so's --preload. Near its end a pull or an import calls syncfs(2), and every
 * command ends; at the first of these it tries what a process that was taken over would: to read
 * what is not the image's, to write elsewhere, to run a program, to reach the network. It prints a
 * line for each, with the errno (0: it worked).
 *	PROBE_FILE	a file to read; PROBE_DIR	a directory to make a file in; PROBE_PID
 *a process
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* CapEff and CapBnd of this thread, in hexadecimal digits. */
static void say_capabilities(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapBnd:", 7) == 0)
			dprintf(2, "probe: %.6s %s", line, line + 8);
	}
	if (status != NULL)
		fclose(status);
}

static void say(const char *what, long result)
{
	dprintf(2, "probe: %s %d\n", what, result < 0 ? errno : 0);
}

/* 127 and the errno where no program ran. */
static int run_program(void)
{
	char name[] = "true", *const argv[] = { name, NULL };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execve("/bin/true", argv, argv + 1);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return errno == 0 ? 0 : -1;
}

static long executable(int how)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | (how == 0 ? PROT_EXEC : 0),
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || how == 0)
		return at == MAP_FAILED ? -1 : 0;
	return mprotect(at, 4096, PROT_READ | PROT_EXEC);
}

/* What makes a file run as somebody else, or stand for something else. */
static void try_files(const char *file, const char *dir)
{
	int held = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (held < 0)
		held = memfd_create("probe", MFD_CLOEXEC);
	say("chmod", chmod(file, 0600));
	say("suid", fchmod(held, 04755));
	say("sgid", fchmod(held, 02755));
	say("all-write", fchmod(held, 0666));
	say("plain", fchmod(held, 0700));
	say("create-suid", openat(AT_FDCWD, dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 04755));
	say("chown", fchown(held, getuid(), getgid()));
	say("xattr", fsetxattr(held, "security.capability", "", 0, 0));
	say("fifo", mknodat(AT_FDCWD, "/nowhere/fifo", S_IFIFO | 0600, 0));
	close(held);
}

static __attribute__((destructor)) void probe(void)
{
	static int tried;
	const char *file = getenv("PROBE_FILE"), *dir = getenv("PROBE_DIR"),
		   *pid = getenv("PROBE_PID");

	if (tried++ == 0 && file != NULL && dir != NULL) {
		say("read", open(file, O_RDONLY | O_CLOEXEC));
		say("list", open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		say("make", openat(AT_FDCWD, dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
		say("run", run_program());
		say("connect", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		say("umount", umount2("/nowhere", 0));
		say("written-code", executable(0));
		say("made-code", executable(1));
		try_files(file, dir);
		say_capabilities();
		if (pid != NULL)
			say("signal", kill(atoi(pid), 0));
	}
}

/* The end of a child process. */
void _exit(int status)
{
	probe();
	syscall(SYS_exit_group, status);
	__builtin_unreachable();
}

int syncfs(int fd)
{
	probe();
	return (int)syscall(SYS_syncfs, fd);
}
