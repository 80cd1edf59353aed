/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/opener-serve.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/version.h"
#include "transport/containers-storage/layer-open.h"
#include "transport/containers-storage/opener-wire.h"
#include "transport/containers-storage/opener.h"
#include "transport/rpc/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The reader says hello at once. */
#define HELLO_MS  60000
#define DEPTH_MAX 2

struct opener_server {
	int socket;
	unsigned int depth;
	int dirs[SFD_OPENER_DIRS_MAX];
	struct stat stats[SFD_OPENER_DIRS_MAX];
	size_t n_dirs;
};

/* Only the user who made the socket pair: nobody gets by this what podman unshare does not give
 * them anyway. */
static int check_socket(int socket, struct splitfd_error *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int type;

	if (splitfd_fds_check_socket(socket, "standard input", &type, NULL) < 0 ||
		type != SOCK_SEQPACKET)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ENOTSOCK,
			"splitfd itself starts this command, under 'podman unshare', and talks to "
			"it "
			"over its standard input; it is of no use by hand");
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return splitfd_error_sys(err, errno, "cannot find out which user owns the socket");
	if (peer.uid != geteuid())
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EPERM, "the socket is another user's");
	return 0;
}

static int drop_rights(struct splitfd_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[2], keep[2] = { 0 };

	if (syscall(SYS_capget, &header, have) < 0)
		return splitfd_error_sys(err, errno, "cannot examine capabilities");
	keep[0].permitted = have[0].permitted & (1U << CAP_DAC_READ_SEARCH);
	keep[0].effective = keep[0].permitted;
	if (syscall(SYS_capset, &header, keep) < 0)
		return splitfd_error_sys(err, errno, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return splitfd_error_sys(err, errno, "cannot confine the process");
	return 0;
}

/* How many ids a map of the namespace has. */
static uint32_t count_ids(const char *path)
{
	unsigned long long inside, outside, n, sum = 0;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return 0;
	while (fscanf(file, "%llu %llu %llu", &inside, &outside, &n) == 3)
		sum += n;
	(void)fclose(file);
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static int check_hello(struct opener_server *s, const struct sfd_opener_hello *hello, ssize_t n,
	struct splitfd_error *err)
{
	if (n != sizeof(*hello) || hello->magic != SFD_OPENER_MAGIC || hello->depth < 1 ||
		hello->depth > DEPTH_MAX || s->n_dirs == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTO,
			"the other side of the socket is not splitfd");
	if (strncmp(hello->version, SPLITFD_VERSION, sizeof(hello->version)) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTO,
			"this is splitfd %s, not the version that has started it", SPLITFD_VERSION);
	s->depth = hello->depth;
	for (size_t i = 0; i < s->n_dirs; i++) {
		if (fstat(s->dirs[i], &s->stats[i]) < 0 || !S_ISDIR(s->stats[i].st_mode))
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTDIR,
				"a directory of the store is none");
	}
	return 0;
}

static int greet(struct opener_server *s, struct splitfd_error *err)
{
	struct sfd_opener_welcome welcome = { .magic = SFD_OPENER_MAGIC };
	struct sfd_opener_hello hello;
	uint32_t gids;
	ssize_t n = splitfd_fds_receive(s->socket, &hello, sizeof(hello), s->dirs,
		SFD_OPENER_DIRS_MAX, &s->n_dirs, HELLO_MS, err);
	int r = n < 0 ? (int)n : check_hello(s, &hello, n, err);

	if (r < 0)
		return r;
	welcome.mapped = count_ids("/proc/self/uid_map");
	gids = count_ids("/proc/self/gid_map");
	if (gids < welcome.mapped)
		welcome.mapped = gids;
	return splitfd_fds_send(s->socket, &welcome, sizeof(welcome), NULL, 0, HELLO_MS, err);
}

/* A layer's directory lies `depth` below one of the store's. */
static bool is_layer(const struct opener_server *s, int dir)
{
	sfd_cleanup_fd int up = sfd_openat2(dir, s->depth == 2 ? "../.." : "..",
		O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	struct stat st;

	if (up < 0 || fstat(up, &st) < 0)
		return false;
	for (size_t i = 0; i < s->n_dirs; i++) {
		if (st.st_dev == s->stats[i].st_dev && st.st_ino == s->stats[i].st_ino)
			return true;
	}
	return false;
}

static int open_requested(const struct opener_server *s, const struct sfd_opener_request *request,
	size_t n, int dir, int *ret_fd, struct splitfd_error *err)
{
	char name[SPLITFD_NAME_MAX + 1];
	size_t len = n - SFD_OPENER_REQUEST_MIN;

	memcpy(name, request->name, len);
	name[len] = '\0';
	if (len == 0 || strlen(name) != len)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL, "not a file's name");
	if (!is_layer(s, dir))
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EXDEV, "%s: not of a layer of the store", name);
	return sfd_layer_open(dir, name, request->size, ret_fd, NULL, err);
}

static int answer(const struct opener_server *s, const struct sfd_opener_request *request, size_t n,
	int dir, struct splitfd_error *err)
{
	struct splitfd_error failure = { 0 };
	struct sfd_opener_reply reply = { 0 };
	sfd_cleanup_fd int fd = -EBADF;
	size_t len = 0;

	reply.result = open_requested(s, request, n, dir, &fd, &failure);
	if (reply.result < 0) {
		reply.kind = (int32_t)failure.kind;
		len = strlen(failure.text);
		memcpy(reply.text, failure.text, len);
	}
	return splitfd_fds_send(
		s->socket, &reply, SFD_OPENER_REPLY_MIN + len, &fd, fd >= 0, -1, err);
}

/* 1: go on. 0: the reader has closed. */
static int serve_one(const struct opener_server *s, struct splitfd_error *err)
{
	struct sfd_opener_request request;
	sfd_cleanup_fd int dir = -EBADF;
	size_t n_fds = 0;
	ssize_t n =
		splitfd_fds_receive(s->socket, &request, sizeof(request), &dir, 1, &n_fds, -1, err);
	int r;

	if (n == 0 && n_fds == 0)
		return 0;
	if (n == -ECONNRESET) {
		splitfd_error_clear(err);
		return 0;
	}
	if (n < 0)
		return (int)n;
	if (n < (ssize_t)SFD_OPENER_REQUEST_MIN || n_fds != 1)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTO, "not a request");
	r = answer(s, &request, (size_t)n, dir, err);
	if (r == -EPIPE) {
		splitfd_error_clear(err);
		return 0;
	}
	return r < 0 ? r : 1;
}

int sfd_opener_serve(int socket, struct splitfd_error *err)
{
	struct opener_server s = { .socket = socket };
	int r = check_socket(socket, err);

	if (r >= 0)
		r = drop_rights(err);
	if (r >= 0)
		r = greet(&s, err);
	if (r >= 0) {
		do
			r = serve_one(&s, err);
		while (r > 0);
	}
	for (size_t i = 0; i < s.n_dirs; i++)
		sfd_close(s.dirs[i]);
	return r;
}
