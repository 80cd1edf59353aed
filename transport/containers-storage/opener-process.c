/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/opener-process.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/process.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Podman ends at once when its child has; what takes longer is stuck. */
#define END_MS 10000
/* The part of the log that is looked at. */
#define LOG_MAX 65536

static int spawn_any(const char *program, int socket, struct sfd_opener_process *process,
	struct splitfd_error *err)
{
	static const char *const names[] = { "podman", "buildah" };
	int r = -ENOENT;

	for (size_t i = 0; i < 2 && (r == -ENOENT || r == -EACCES); i++) {
		const char *const argv[] = { names[i], "unshare", program, "rootless-opener",
			NULL };
		/* Podman leaves a process behind that keeps the namespace. And an interrupt is
		 * for us alone: what we do then may still need files. */
		const struct sfd_process podman = {
			.program = names[i],
			.argv = argv,
			.input = socket,
			.error = process->log,
			.apart = true,
		};

		process->unshare = names[i];
		r = sfd_process_start(&podman, &process->pid);
	}
	if (r == -ENOENT || r == -EACCES)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, -r,
			"it belongs to an id of the user's containers and can only be opened under "
			"'podman unshare', but neither podman nor buildah is on PATH; install "
			"podman and uidmap (newuidmap), or read the store as root");
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot run %s unshare", process->unshare);
	return 0;
}

int sfd_opener_process_start(
	const char *program, struct sfd_opener_process *ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int ours = -EBADF, theirs = -EBADF;
	int pair[2], log, r;

	*ret = (struct sfd_opener_process){ .pid = -1, .socket = -EBADF, .log = -EBADF };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket pair");
	/* Not among the numbers that are given to the process: ours may have been closed. */
	ours = sfd_fd_sane(pair[0]);
	theirs = sfd_fd_sane(pair[1]);
	log = memfd_create("rootless-opener", MFD_CLOEXEC);
	ret->log = log < 0 ? -errno : sfd_fd_sane(log);
	if (ours < 0 || theirs < 0 || ret->log < 0)
		return splitfd_error_sys(err,
			ours < 0     ? -ours
			: theirs < 0 ? -theirs
				     : -ret->log,
			"cannot prepare a process");
	r = spawn_any(program, theirs, ret, err);
	if (r < 0) {
		ret->log = sfd_close(ret->log);
		return r;
	}
	ret->socket = sfd_take_fd(&ours);
	return 0;
}

void sfd_opener_process_end(struct sfd_opener_process *process)
{
	process->socket = sfd_close(process->socket);
	process->log = sfd_close(process->log);
	if (process->pid <= 0)
		return;
	(void)sfd_process_end(process->pid, END_MS, false);
	process->pid = -1;
}

void sfd_opener_process_said(const struct sfd_opener_process *process, char *text, size_t size)
{
	sfd_cleanup_free char *log = NULL;
	size_t n;
	char *line;

	text[0] = '\0';
	if (process->log < 0 || sfd_read_file_fd(process->log, LOG_MAX, &log, &n) < 0)
		return;
	while (n > 0 && (log[n - 1] == '\n' || log[n - 1] == ' '))
		log[--n] = '\0';
	line = strrchr(log, '\n');
	line = line != NULL ? line + 1 : log;
	if (*line != '\0')
		(void)snprintf(text, size, ": %s", line);
}
