/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/confined-child.h"
#include "shim/common/cancel.h"
#include "shim/common/confine.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct reply {
	int result;
	struct splitfd_error err;
};

static _Noreturn void run_child(
	sfd_child_fn *work, void *ctx, void *result, size_t size, int to, pid_t parent)
{
	struct reply reply = { 0 };

	/* Where the parent has ended before, nobody sends the signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(1);
	reply.result = work(ctx, result, &reply.err);
	if (reply.result < 0) {
		struct splitfd_error why = reply.err;

		(void)splitfd_error_set(
			&reply.err, why.kind, why.errnum, "%s%s", why.text, sfd_confine_hint(&why));
	}
	if (fflush(stdout) != 0 || sfd_write_all(to, &reply, sizeof(reply)) < 0 ||
		sfd_write_all(to, result, size) < 0)
		_exit(1);
	_exit(0);
}

/* True where all of it came. */
static bool read_all(int fd, void *data, size_t size, pid_t pid)
{
	uint8_t *at = data;
	int cancel = sfd_cancel_fd();

	while (size > 0) {
		ssize_t n = sfd_wait_or_cancel(fd, POLLIN, cancel, -1);

		if (n == -ECANCELED && cancel > 0) {
			/* It takes back what it has begun. */
			(void)kill(pid, SIGTERM);
			cancel = 0;
			continue;
		}
		n = read(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

/* Whoever has taken the child over has written it: only a text, as long as it is, and a known kind
 * are taken. */
static int take_error(const struct reply *reply, struct splitfd_error *err)
{
	enum splitfd_error_kind kind = reply->err.kind;
	int errnum = reply->err.errnum;

	if (kind != SPLITFD_ERROR_USAGE && kind != SPLITFD_ERROR_NOT_FOUND &&
		kind != SPLITFD_ERROR_REFUSED)
		kind = SPLITFD_ERROR_FAILED;
	return splitfd_error_set(err, kind, errnum > 0 ? errnum : EIO, "%.*s",
		(int)strnlen(reply->err.text, sizeof(reply->err.text)), reply->err.text);
}

int sfd_in_child(
	sfd_child_fn *work, void *ctx, void *result, size_t size, struct splitfd_error *err)
{
	sfd_cleanup_fd int from = -EBADF, to = -EBADF;
	pid_t pid, parent = getpid();
	struct reply reply;
	int ends[2], status = 0;
	bool whole;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe");
	from = ends[0];
	to = ends[1];
	if (fflush(stdout) != 0)
		return splitfd_error_sys(err, errno, "cannot write to standard output");
	pid = fork();
	if (pid == 0)
		run_child(work, ctx, result, size, to, parent);
	if (pid < 0)
		return splitfd_error_sys(err, errno, "cannot start a process");
	sfd_close(sfd_take_fd(&to));
	whole = read_all(from, &reply, sizeof(reply), pid) && read_all(from, result, size, pid);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!whole)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EPIPE,
			"the process that reads untrusted data has ended (%s %d)",
			WIFSIGNALED(status) ? "signal" : "exit status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return reply.result < 0 ? take_error(&reply, err) : reply.result;
}
