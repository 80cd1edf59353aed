/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/opener.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/version.h"
#include "transport/containers-storage/layer-open.h"
#include "transport/containers-storage/opener-process.h"
#include "transport/containers-storage/opener-wire.h"
#include "transport/rpc/fdpass.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

/* podman unshare takes a tenth of a second; opening a file takes microseconds. */
#define SILENCE_MS 120000

struct sfd_opener {
	unsigned int refs; /* atomic */
	char *program;
	unsigned int depth;
	int cancel_fd;		       /* or 0 */
	int dirs[SFD_OPENER_DIRS_MAX]; /* closed when the process has them */
	size_t n_dirs;

	pthread_mutex_t sending; /* the start and all requests */
	bool started;
	struct sfd_opener_process process;
	uint32_t mapped;
	uint64_t sent; /* requests */

	pthread_mutex_t receiving;
	pthread_cond_t turned;
	uint64_t received;	     /* replies: the next one is this request's */
	struct splitfd_error broken; /* nothing works any more */
};

SFD_DEFINE_CLEANUP(opener_cleanup, struct sfd_opener, sfd_opener_unref);

int sfd_opener_new(const char *program, const int *dirs, size_t n, unsigned int depth,
	int cancel_fd, struct sfd_opener **ret, struct splitfd_error *err)
{
	sfd_cleanup(opener_cleanup) struct sfd_opener *opener = calloc(1, sizeof(*opener));

	assert(n <= SFD_OPENER_DIRS_MAX);
	if (opener == NULL) {
		for (size_t i = 0; i < n; i++)
			sfd_close(dirs[i]);
		return splitfd_error_oom(err);
	}
	opener->refs = 1;
	memcpy(opener->dirs, dirs, n * sizeof(*dirs));
	opener->n_dirs = n;
	opener->depth = depth;
	opener->cancel_fd = cancel_fd;
	opener->process = (struct sfd_opener_process){ .pid = -1, .socket = -EBADF, .log = -EBADF };
	(void)pthread_mutex_init(&opener->sending, NULL);
	(void)pthread_mutex_init(&opener->receiving, NULL);
	(void)pthread_cond_init(&opener->turned, NULL);
	opener->program = strdup(program);
	if (opener->program == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&opener);
	return 0;
}

struct sfd_opener *sfd_opener_ref(struct sfd_opener *opener)
{
	if (opener != NULL)
		__atomic_add_fetch(&opener->refs, 1, __ATOMIC_RELAXED);
	return opener;
}

static void close_dirs(struct sfd_opener *opener)
{
	for (size_t i = 0; i < opener->n_dirs; i++)
		sfd_close(opener->dirs[i]);
	opener->n_dirs = 0;
}

struct sfd_opener *sfd_opener_unref(struct sfd_opener *opener)
{
	if (opener == NULL || __atomic_sub_fetch(&opener->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	sfd_opener_process_end(&opener->process);
	close_dirs(opener);
	pthread_mutex_destroy(&opener->sending);
	pthread_mutex_destroy(&opener->receiving);
	pthread_cond_destroy(&opener->turned);
	free(opener->program);
	free(opener);
	return NULL;
}

/* Nobody gets anything any more. The first reason stays. */
static int break_off(
	struct sfd_opener *opener, const struct splitfd_error *why, struct splitfd_error *err)
{
	int errnum;

	(void)pthread_mutex_lock(&opener->receiving);
	if (opener->broken.errnum == 0)
		opener->broken = *why;
	errnum = opener->broken.errnum;
	(void)splitfd_error_copy(err, -errnum, &opener->broken);
	(void)pthread_cond_broadcast(&opener->turned);
	(void)pthread_mutex_unlock(&opener->receiving);
	return -errnum;
}

/* The process went away, or is silent, or says what it should not. */
static int lost(const struct sfd_opener *opener, const struct splitfd_error *cause,
	struct splitfd_error *err)
{
	char said[512];

	sfd_opener_process_said(&opener->process, said, sizeof(said));
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPIPE,
		"the process under '%s unshare' that opens the files of the user's containers "
		"has ended%s%s%s",
		opener->process.unshare, cause->text[0] != '\0' ? ", " : "", cause->text, said);
}

static int no_start(const struct sfd_opener *opener, struct splitfd_error *err)
{
	char said[512];

	sfd_opener_process_said(&opener->process, said, sizeof(said));
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EPERM,
		"it can only be opened under '%s unshare', which does not work%s; it needs "
		"newuidmap (package uidmap), user namespaces and subordinate ids of the user in "
		"/etc/subuid and /etc/subgid",
		opener->process.unshare, said);
}

/* -ECANCELED; else 0, and receiving tells. */
static int await_answer(const struct sfd_opener *opener, struct splitfd_error *err)
{
	int r = sfd_wait_or_cancel(opener->process.socket, POLLIN, opener->cancel_fd, SILENCE_MS);

	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	return 0;
}

static int hello(struct sfd_opener *opener, struct splitfd_error *err)
{
	struct sfd_opener_hello hello = { .magic = SFD_OPENER_MAGIC, .depth = opener->depth };
	struct sfd_opener_welcome welcome;
	size_t n_fds;
	ssize_t n;
	int r;

	(void)snprintf(hello.version, sizeof(hello.version), "%s", SPLITFD_VERSION);
	r = splitfd_fds_send(opener->process.socket, &hello, sizeof(hello), opener->dirs,
		opener->n_dirs, SILENCE_MS, err);
	close_dirs(opener);
	if (r < 0)
		return no_start(opener, err);
	r = await_answer(opener, err);
	if (r < 0)
		return r;
	n = splitfd_fds_receive(opener->process.socket, &welcome, sizeof(welcome), NULL, 0, &n_fds,
		SILENCE_MS, err);
	if (n != sizeof(welcome) || welcome.magic != SFD_OPENER_MAGIC)
		return no_start(opener, err);
	opener->mapped = welcome.mapped;
	return 0;
}

/* Under the lock of sending. */
static int start(struct sfd_opener *opener, struct splitfd_error *err)
{
	struct splitfd_error failure = { 0 };
	int r;

	if (opener->started)
		return 0;
	opener->started = true;
	r = sfd_opener_process_start(opener->program, &opener->process, &failure);
	if (r >= 0)
		r = hello(opener, &failure);
	return r < 0 ? break_off(opener, &failure, err) : 0;
}

static int check_whole(struct sfd_opener *opener, struct splitfd_error *err)
{
	int errnum;

	(void)pthread_mutex_lock(&opener->receiving);
	errnum = opener->broken.errnum;
	if (errnum != 0)
		(void)splitfd_error_copy(err, -errnum, &opener->broken);
	(void)pthread_mutex_unlock(&opener->receiving);
	return -errnum;
}

/* Sends; *ret_turn says which of the replies is the one. */
static int ask(struct sfd_opener *opener, int dir, const struct sfd_opener_request *request,
	size_t n, uint64_t *ret_turn, struct splitfd_error *err)
{
	struct splitfd_error cause = { 0 }, why = { 0 };
	int r;

	(void)pthread_mutex_lock(&opener->sending);
	r = start(opener, err);
	if (r >= 0)
		r = check_whole(opener, err);
	if (r >= 0) {
		*ret_turn = opener->sent;
		if (splitfd_fds_send(
			    opener->process.socket, request, n, &dir, 1, SILENCE_MS, &cause) < 0) {
			(void)lost(opener, &cause, &why);
			r = break_off(opener, &why, err);
		} else {
			opener->sent++;
		}
	}
	(void)pthread_mutex_unlock(&opener->sending);
	return r;
}

/* Receives one reply. *ret_broken: nothing more can come. */
static int receive(
	struct sfd_opener *opener, int *ret_fd, bool *ret_broken, struct splitfd_error *err)
{
	struct splitfd_error cause = { 0 };
	struct sfd_opener_reply reply;
	sfd_cleanup_fd int fd = -EBADF;
	size_t n_fds = 0;
	ssize_t n = await_answer(opener, err);

	if (n < 0) {
		*ret_broken = true;
		return (int)n;
	}
	n = splitfd_fds_receive(opener->process.socket, &reply, sizeof(reply) - 1, &fd, 1, &n_fds,
		SILENCE_MS, &cause);
	/* No room for the descriptor: only this reply is lost. */
	if (n == -EMFILE || n == -ENFILE)
		return splitfd_error_set(err, cause.kind, EMFILE, "%s", cause.text);
	*ret_broken = n < (ssize_t)SFD_OPENER_REPLY_MIN ||
		      (reply.result == SFD_LAYER_FOUND) != (n_fds == 1) ||
		      reply.result > SFD_LAYER_STUB || reply.result < -4095 ||
		      (reply.result < 0 && (reply.kind < SPLITFD_ERROR_FAILED ||
						   reply.kind > SPLITFD_ERROR_PEER));
	if (*ret_broken)
		return lost(opener, &cause, err);
	if (reply.result < 0) {
		((char *)&reply)[n] = '\0';
		return splitfd_error_set(
			err, (enum splitfd_error_kind)reply.kind, -reply.result, "%s", reply.text);
	}
	*ret_fd = sfd_take_fd(&fd);
	return reply.result;
}

static int await(struct sfd_opener *opener, uint64_t turn, int *ret_fd, struct splitfd_error *err)
{
	struct splitfd_error failure = { 0 };
	bool broken = false;
	int r;

	(void)pthread_mutex_lock(&opener->receiving);
	while (opener->received != turn && opener->broken.errnum == 0)
		(void)pthread_cond_wait(&opener->turned, &opener->receiving);
	r = -opener->broken.errnum;
	if (r < 0)
		(void)splitfd_error_copy(err, r, &opener->broken);
	(void)pthread_mutex_unlock(&opener->receiving);
	if (r < 0)
		return r;
	r = receive(opener, ret_fd, &broken, &failure);
	if (broken)
		return break_off(opener, &failure, err);
	(void)pthread_mutex_lock(&opener->receiving);
	opener->received++;
	(void)pthread_cond_broadcast(&opener->turned);
	(void)pthread_mutex_unlock(&opener->receiving);
	return r < 0 ? splitfd_error_copy(err, r, &failure) : r;
}

/* Not even there: the namespace lacks the file's owner. */
static int explain(const struct sfd_opener *opener, struct splitfd_error *err)
{
	struct passwd entry, *found = NULL;
	char buffer[4096], text[512];
	const char *user = "USER";

	(void)snprintf(text, sizeof(text), "%s", err->text);
	if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
		user = found->pw_name;
	if (opener->mapped > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EACCES,
			"%s, under '%s unshare' too: its owner is none of the subordinate ids that "
			"%s has in /etc/subuid and /etc/subgid",
			text, opener->process.unshare, user);
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EACCES,
		"%s, under '%s unshare' too: %s has no subordinate ids; 'usermod --add-subuids "
		"100000-165535 --add-subgids 100000-165535 %s' as root (or another free range), "
		"then 'podman system migrate'",
		text, opener->process.unshare, user, user);
}

int sfd_opener_open(struct sfd_opener *opener, int dir, const char *name, uint64_t size,
	int *ret_fd, struct splitfd_error *err)
{
	struct splitfd_error failure = { 0 };
	struct sfd_opener_request request = { .size = size };
	size_t len = strlen(name);
	uint64_t turn = 0;
	int r;

	if (len == 0 || len > sizeof(request.name))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENAMETOOLONG,
			"%.200s: not a name that a file can have", name);
	memcpy(request.name, name, len);
	r = ask(opener, dir, &request, SFD_OPENER_REQUEST_MIN + len, &turn, &failure);
	if (r < 0) {
		(void)splitfd_error_wrap(&failure, r, "%s", name);
	} else {
		r = await(opener, turn, ret_fd, &failure);
		if (r == -EACCES)
			r = explain(opener, &failure);
	}
	return r < 0 ? splitfd_error_copy(err, r, &failure) : r;
}
