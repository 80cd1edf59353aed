/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/peer-opener-serve.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/dir-files.h"
#include "transport/rpc/fdpass.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The system calls themselves: glibc's functions would speak to threads that a fork has not. */
static int become(const struct sfd_peer_identity *who, struct splitfd_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[2] = { 0 };

	if (syscall(SYS_setgroups, who->n_groups, who->groups) < 0 ||
		syscall(SYS_setresgid, who->gid, who->gid, who->gid) < 0 ||
		syscall(SYS_setresuid, who->uid, who->uid, who->uid) < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"a file that another user names is opened with that user's rights, which "
			"needs root here (%s); send descriptors or the content",
			strerror(errno));
	if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return splitfd_error_sys(err, errno, "cannot drop privileges");
	return 0;
}

static int answer(int socket, int result, const struct splitfd_error *why, int fd)
{
	struct sfd_peer_reply reply = { .result = result };
	size_t len = 0;

	if (result < 0) {
		reply.kind = (int32_t)why->kind;
		len = strlen(why->text);
		memcpy(reply.text, why->text, len);
	}
	return splitfd_fds_send(socket, &reply, SFD_PEER_REPLY_MIN + len, &fd, fd >= 0, -1, NULL);
}

/* Takes dir. */
static int open_named(const struct sfd_peer_request *request, size_t n, int dir, int *ret_fd,
	struct splitfd_error *err)
{
	char name[SPLITFD_NAME_MAX + 1];
	size_t len = n - SFD_PEER_REQUEST_MIN;
	struct splitfd_files *files = NULL;
	int r = sfd_dir_files_new(dir, &files, err);

	if (r < 0)
		return r;
	memcpy(name, request->name, len);
	name[len] = '\0';
	r = files->ops->open(files, name, request->size, ret_fd, NULL, err);
	splitfd_files_unref(files);
	return r;
}

/* False where the other side has closed. */
static bool serve_one(int socket)
{
	struct sfd_peer_request request;
	struct splitfd_error why = { 0 };
	sfd_cleanup_fd int dir = -EBADF, fd = -EBADF;
	size_t n_fds = 0;
	ssize_t n =
		splitfd_fds_receive(socket, &request, sizeof(request), &dir, 1, &n_fds, -1, NULL);
	int r;

	if (n <= (ssize_t)SFD_PEER_REQUEST_MIN || n_fds != 1)
		return false;
	r = open_named(&request, (size_t)n, sfd_take_fd(&dir), &fd, &why);
	return answer(socket, r, &why, fd) == 0;
}

_Noreturn void sfd_peer_opener_serve(int socket, const struct sfd_peer_identity *who)
{
	struct splitfd_error why = { 0 };
	int r;

	/* Nothing else of the parent's stays open here. */
	if (dup2(socket, STDIN_FILENO) < 0)
		_exit(1);
	closefrom(STDOUT_FILENO);
	r = become(who, &why);
	if (answer(STDIN_FILENO, r, &why, -EBADF) == 0 && r == 0) {
		while (serve_one(STDIN_FILENO))
			;
	}
	_exit(r < 0);
}
