/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-process.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/process.h"
#include "transport/skopeo/real-skopeo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A wrapper (a script, podman unshare) may stand between us and the program. */
#define CHILDREN_DEPTH 4

static const char **make_argv(const char *program, const char *const *arguments)
{
	const char **argv;
	size_t n = 0;

	while (arguments != NULL && arguments[n] != NULL)
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (argv == NULL)
		return NULL;
	argv[0] = program;
	argv[1] = "experimental-image-proxy";
	for (size_t i = 0; i < n; i++)
		argv[2 + i] = arguments[i];
	return argv;
}

int sfd_proxy_spawn(const char *program, const char *const *arguments, int socket, pid_t *ret_pid,
	struct splitfd_error *err)
{
	sfd_cleanup_free const char **argv = make_argv(program, arguments);
	struct sfd_process process = {
		.program = program, .argv = argv, .input = socket, .error = -1, .own_group = true
	};
	char **environment = NULL;
	int r;

	if (argv == NULL)
		return splitfd_error_oom(err);
	r = sfd_skopeo_environment(program, &environment, err);
	if (r < 0)
		return r;
	process.environment = environment;
	r = sfd_process_start(&process, ret_pid);
	sfd_skopeo_environment_free(environment);
	return r < 0 ? splitfd_error_sys(err, -r, "cannot run %s", program) : 0;
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

/* A flag of the kernel's for a process (linux/sched.h), which proc(5) shows. */
#define PF_EXITING 0x4u

bool sfd_proxy_exits(pid_t pid)
{
	char path[64], text[1024], *behind_name;
	unsigned int flags = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (pid <= 0 || !read_proc(path, text, sizeof(text)))
		return pid <= 0;
	behind_name = strrchr(text, ')');
	return behind_name != NULL &&
	       sscanf(behind_name, ") %*c %*s %*s %*s %*s %*s %u", &flags) == 1 &&
	       (flags & PF_EXITING) != 0;
}

/* What a confined process may not know of another is how much it read; that it runs, it may. */
static uint64_t read_cpu(pid_t pid)
{
	unsigned long long user = 0, system = 0;
	char path[64], text[1024], *behind_name;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_proc(path, text, sizeof(text)))
		return 0;
	behind_name = strrchr(text, ')');
	if (behind_name == NULL ||
		sscanf(behind_name, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
			&user, &system) != 2)
		return 0;
	return user + system;
}

static uint64_t read_io(pid_t pid)
{
	unsigned long long in = 0, out = 0;
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
	if (!read_proc(path, text, sizeof(text)))
		return read_cpu(pid);
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
