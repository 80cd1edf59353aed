/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-process.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/skopeo/real-skopeo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A wrapper (a script, podman unshare) may stand between us and the program. */
#define CHILDREN_DEPTH 4

static char **make_argv(const char *program, const char *const *arguments)
{
	size_t n = 0;
	char **argv;

	while (arguments != NULL && arguments[n] != NULL)
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (argv == NULL)
		return NULL;
	argv[0] = (char *)(uintptr_t)program;
	argv[1] = (char *)(uintptr_t) "experimental-image-proxy";
	for (size_t i = 0; i < n; i++)
		argv[2 + i] = (char *)(uintptr_t)arguments[i];
	return argv;
}

/* We ignore SIGPIPE; the program shall not inherit that, nor a signal mask. */
static int fill_attributes(posix_spawnattr_t *attributes)
{
	sigset_t defaults, none;
	int r;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	r = posix_spawnattr_setsigdefault(attributes, &defaults);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	return r;
}

static int spawn(const char *program, char **argv, char **environment, int socket, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return r;
	}
	r = fill_attributes(&attributes);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, socket, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret_pid, program, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int sfd_proxy_spawn(const char *program, const char *const *arguments, int socket, pid_t *ret_pid,
	struct splitfd_error *err)
{
	sfd_cleanup_free char **argv = make_argv(program, arguments);
	char **environment = NULL;
	int r;

	if (argv == NULL)
		return splitfd_error_oom(err);
	r = sfd_skopeo_environment(program, &environment, err);
	if (r < 0)
		return r;
	r = spawn(program, argv, environment, socket, ret_pid);
	sfd_skopeo_environment_free(environment);
	if (r != 0)
		return splitfd_error_sys(err, r, "cannot run %s", program);
	return 0;
}

/* Files of /proc have no size. At most size - 1 bytes and a NUL; false where it cannot be read. */
static bool read_proc(const char *path, char *text, size_t size)
{
	sfd_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : sfd_read_upto(fd, text, size - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

static uint64_t read_io(pid_t pid)
{
	unsigned long long in = 0, out = 0;
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
	if (!read_proc(path, text, sizeof(text)))
		return 0;
	if (sscanf(text, "rchar: %llu\nwchar: %llu", &in, &out) != 2)
		return 0;
	return in + out;
}

static uint64_t moved(pid_t pid, int depth)
{
	uint64_t sum = read_io(pid);
	char path[96], text[4096], *at, *end;

	if (depth == 0)
		return sum;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (!read_proc(path, text, sizeof(text)))
		return sum;
	for (at = text;; at = end) {
		long child = strtol(at, &end, 10);

		if (end == at || child <= 0)
			return sum;
		sum += moved((pid_t)child, depth - 1);
	}
}

uint64_t sfd_proxy_bytes_moved(pid_t pid)
{
	return moved(pid, CHILDREN_DEPTH);
}

int sfd_proxy_reap(pid_t pid, int grace_ms)
{
	int status = 0;
	sfd_cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0 || sfd_wait_fd(pidfd, POLLIN, grace_ms) <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}
