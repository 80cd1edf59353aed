/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/peer-opener.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/peer-opener-serve.h"
#include "transport/rpc/peer-rights.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Becoming somebody takes microseconds. */
#define START_MS 10000
/* A process that sleeps in the kernel is not waited for any longer. */
#define END_MS 1000

struct sfd_peer_opener {
	unsigned int refs; /* atomic */
	int socket;	   /* SOCK_SEQPACKET */
	pid_t pid;
	uid_t uid;
	int timeout_ms, cancel_fd;
	pthread_mutex_t lock;	     /* one request at a time */
	struct splitfd_error broken; /* nothing can be opened any more */
};

struct peer_files {
	struct splitfd_files base;
	struct sfd_peer_opener *opener;
	int dir;
};

static void end_process(pid_t pid)
{
	sfd_cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	(void)kill(pid, SIGKILL);
	if (pidfd >= 0 && sfd_wait_fd(pidfd, POLLIN, END_MS) <= 0)
		return;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

struct sfd_peer_opener *sfd_peer_opener_unref(struct sfd_peer_opener *opener)
{
	if (opener == NULL || __atomic_sub_fetch(&opener->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	sfd_close(opener->socket);
	if (opener->pid > 0)
		end_process(opener->pid);
	pthread_mutex_destroy(&opener->lock);
	free(opener);
	return NULL;
}

SFD_DEFINE_CLEANUP(cleanup_opener, struct sfd_peer_opener, sfd_peer_opener_unref);

/* Receives a reply. -errno with a text; *ret_broken where nothing more can come. */
static int receive(struct sfd_peer_opener *o, int timeout_ms, int *ret_fd, bool *ret_broken,
	struct splitfd_error *err)
{
	struct sfd_peer_reply reply;
	sfd_cleanup_fd int fd = -EBADF;
	size_t n_fds = 0;
	ssize_t n = sfd_wait_or_cancel(o->socket, POLLIN, o->cancel_fd, timeout_ms);

	*ret_broken = true;
	if (n <= 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, n < 0 ? (int)-n : ETIMEDOUT,
			n == -ECANCELED ? "interrupted"
					: "opening a file with the peer's rights takes too long");
	n = splitfd_fds_receive(
		o->socket, &reply, sizeof(reply) - 1, &fd, 1, &n_fds, timeout_ms, NULL);
	if (n < (ssize_t)SFD_PEER_REPLY_MIN || reply.result < -4095 || reply.result > 0 ||
		(reply.result < 0 && (n_fds != 0 || reply.kind < SPLITFD_ERROR_FAILED ||
					     reply.kind > SPLITFD_ERROR_PEER)))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
			"the process that opens files with the peer's rights has ended");
	*ret_broken = false;
	((char *)&reply)[n] = '\0';
	if (reply.result < 0)
		return splitfd_error_set(
			err, (enum splitfd_error_kind)reply.kind, -reply.result, "%s", reply.text);
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

static int ask(struct sfd_peer_opener *o, int dir, const char *name, uint64_t size, int *ret_fd,
	struct splitfd_error *err)
{
	struct splitfd_error failure = { 0 };
	struct sfd_peer_request request = { .size = size };
	size_t len = strlen(name);
	bool broken = false;
	int r;

	if (len == 0 || len > sizeof(request.name))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%.200s: not a name that a file can have", name);
	memcpy(request.name, name, len);
	pthread_mutex_lock(&o->lock);
	r = -o->broken.errnum;
	failure = o->broken;
	if (r == 0) {
		r = splitfd_fds_send(o->socket, &request, SFD_PEER_REQUEST_MIN + len, &dir, 1,
			o->timeout_ms, &failure);
		broken = r < 0;
	}
	if (r == 0)
		r = receive(o, o->timeout_ms, ret_fd, &broken, &failure);
	if (broken)
		o->broken = failure;
	pthread_mutex_unlock(&o->lock);
	return r < 0 ? splitfd_error_copy(err, r, &failure) : r;
}

/* Not for the sandbox to be blamed, and nothing that this user's rights would change. */
static int denied(const struct sfd_peer_opener *o, struct splitfd_error *err)
{
	struct splitfd_error why = { 0 };

	if (err == NULL)
		return -EREMOTEIO;
	why = *err;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EREMOTEIO,
		"%s, for user %u, who named it", why.text, o->uid);
}

/* What comes back is the peer's as much as the name is: it is examined here again. */
static int peer_files_open(struct splitfd_files *files, const char *name, uint64_t size,
	int *ret_fd, int *ret_dir, struct splitfd_error *err)
{
	struct peer_files *pf = (struct peer_files *)files;
	sfd_cleanup_fd int fd = -EBADF;
	int r = ask(pf->opener, pf->dir, name, size, &fd, err);

	if (r == -EACCES || r == -EPERM)
		r = denied(pf->opener, err);
	if (r == 0)
		r = sfd_check_regular(fd, size, name, NULL, err);
	if (r < 0)
		return r;
	if (ret_dir != NULL)
		*ret_dir = -1;
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

static void peer_files_free(struct splitfd_files *files)
{
	struct peer_files *pf = (struct peer_files *)files;

	sfd_peer_opener_unref(pf->opener);
	sfd_close(pf->dir);
	free(pf);
}

int sfd_peer_opener_files(
	void *opener, int dir, struct splitfd_files **ret, struct splitfd_error *err)
{
	static const struct splitfd_files_ops ops = {
		.open = peer_files_open,
		.free = peer_files_free,
	};
	sfd_cleanup_fd int owned = dir;
	struct sfd_peer_opener *o = opener;
	struct peer_files *pf;
	int r = sfd_check_directory(owned, err);

	if (r < 0)
		return r;
	pf = calloc(1, sizeof(*pf));
	if (pf == NULL)
		return splitfd_error_oom(err);
	/* No directory of it can be handed on: this process could open more below it. */
	*pf = (struct peer_files){
		.base = { .ops = &ops, .refs = 1 }, .opener = o, .dir = sfd_take_fd(&owned)
	};
	__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
	*ret = &pf->base;
	return 0;
}

static int start(
	struct sfd_peer_opener *o, const struct sfd_peer_identity *who, struct splitfd_error *err)
{
	sfd_cleanup_fd int theirs = -EBADF;
	sigset_t all, before;
	bool broken;
	int pair[2], fd = -EBADF;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return splitfd_error_sys(err, errno, "cannot make a socket pair");
	o->socket = pair[0];
	theirs = pair[1];
	o->uid = who->uid;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	o->pid = fork();
	if (o->pid == 0)
		sfd_peer_opener_serve(theirs, who);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (o->pid < 0)
		return splitfd_error_sys(err, errno, "cannot start a process");
	theirs = sfd_close(theirs);
	/* Its first word is whether it has become that user. */
	if (receive(o, START_MS, &fd, &broken, &o->broken) < 0)
		(void)splitfd_error_wrap(&o->broken, 0, "user %u", who->uid);
	sfd_close(fd);
	return 0;
}

int sfd_peer_opener_new(int socket, int timeout_ms, int cancel_fd, struct sfd_peer_opener **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_opener) struct sfd_peer_opener *o = NULL;
	sfd_cleanup(sfd_peer_identity_done) struct sfd_peer_identity who = { 0 };
	int r;

	*ret = NULL;
	if (sfd_peer_is_own(socket))
		return 0;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return splitfd_error_oom(err);
	*o = (struct sfd_peer_opener){ .refs = 1,
		.socket = -EBADF,
		.pid = -1,
		.timeout_ms = timeout_ms,
		.cancel_fd = cancel_fd };
	pthread_mutex_init(&o->lock, NULL);
	r = sfd_peer_identity(socket, &who);
	if (r < 0)
		(void)splitfd_error_set(&o->broken, SPLITFD_ERROR_REFUSED, -r,
			"the kernel does not report which user the peer is, so no file is "
			"opened for it by name; send descriptors or the content");
	else
		r = start(o, &who, err);
	if (r < 0 && o->broken.errnum == 0)
		return r;
	*ret = sfd_take_ptr(&o);
	return 0;
}
