/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/blob-pipe.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/ring.h"
#include "splitfdstream/base/thread.h"
#include "transport/json/json-member.h"
#include "transport/json/json-tree.h"
#include "transport/skopeo/proxy-fetch.h"
#include "transport/skopeo/skopeo-reason.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#define SILENCE_MS 1000
#define ERROR_MAX  65536

struct sfd_blob_pipe {
	struct sfd_proxy *proxy;
	int fd;
	int errors;	 /* GetRawBlob's error pipe, or -EBADF */
	uint32_t pipeid; /* GetBlob's, or 0 */
	uint64_t size, bytes;
	int stall_ms;
	bool finished;
	/* FinishPipe beside the reading: */
	struct sfd_thread thread;
	int result;
	struct splitfd_error err;
	int stop_fd; /* an eventfd: it has failed, so that the reader waits no longer */
};

int sfd_blob_pipe_open(struct sfd_proxy *proxy, struct sfd_proxy_reply *reply, uint64_t size,
	int stall_ms, struct sfd_blob_pipe **ret, struct splitfd_error *err)
{
	bool raw = reply->pipeid == 0;
	struct sfd_blob_pipe *p;

	if (reply->n_fds != (raw ? 2 : 1) || (!raw && size == UINT64_MAX))
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
			"skopeo's reply to %s has the wrong descriptors",
			raw ? "GetRawBlob" : "GetBlob");
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return splitfd_error_oom(err);
	*p = (struct sfd_blob_pipe){ .proxy = proxy,
		.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.fd = sfd_take_fd(&reply->fds[0]),
		.errors = raw ? sfd_take_fd(&reply->fds[1]) : -EBADF,
		.pipeid = reply->pipeid,
		.size = size,
		.stall_ms = stall_ms };
	if (p->stop_fd < 0) {
		int r = splitfd_error_sys(err, errno, "cannot make an eventfd");

		/* FinishPipe may wait for what nobody reads. */
		p->finished = true;
		sfd_blob_pipe_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void *finish_thread(void *arg)
{
	struct sfd_blob_pipe *p = arg;

	p->result = sfd_proxy_finish(p->proxy, p->pipeid, &p->err);
	/* No more will come, even where the pipe stays open. */
	if (p->result < 0)
		sfd_ring(p->stop_fd);
	return NULL;
}

/* FinishPipe beside the reading. */
static int finish_early(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	int r = sfd_thread_start(&p->thread, SFD_STACK_SMALL, finish_thread, p);

	return r < 0 ? splitfd_error_sys(err, -r, "cannot start a thread") : 0;
}

/* Joins the thread of finish_early. */
static int end_early(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	sfd_thread_join(&p->thread);
	p->finished = true;
	return p->result < 0 ? splitfd_error_copy(err, p->result, &p->err) : p->result;
}

static int stopped(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	int r = sfd_proxy_check_ending(p->proxy, err);

	if (r < 0)
		return r;
	if (sfd_thread_started(&p->thread))
		return end_early(p, err);
	return p->result < 0 ? splitfd_error_copy(err, p->result, &p->err) : p->result;
}

/* 1: ready. 0: not within wait_ms. */
static int wait_once(struct sfd_blob_pipe *p, int fd, int wait_ms, struct splitfd_error *err)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
		{ .fd = p->stop_fd, .events = POLLIN },
		{ .fd = sfd_proxy_stop_fd(p->proxy), .events = POLLIN } };
	int r = poll(fds, 3, wait_ms);

	if (r < 0 && errno != EINTR)
		return splitfd_error_sys(err, errno, "cannot wait for skopeo");
	if (r <= 0)
		return 0;
	if (fds[1].revents != 0 || fds[2].revents != 0)
		return stopped(p, err);
	return 1;
}

static int wait_bytes(struct sfd_blob_pipe *p, int fd, struct splitfd_error *err)
{
	int64_t now = sfd_now_ms(), end = now + p->stall_ms, early = now + SILENCE_MS;
	bool may_finish = fd == p->fd && p->pipeid != 0;
	int r = 0;

	while (r == 0 && now < end) {
		int64_t next = now < early && early < end ? early : end;

		/* The flag without a descriptor is looked at now and then. */
		if (next - now > SILENCE_MS)
			next = now + SILENCE_MS;
		r = sfd_proxy_check_ending(p->proxy, err);
		if (r == 0)
			r = wait_once(p, fd, (int)(next - now), err);
		now = sfd_now_ms();
		if (r == 0 && now >= early && now < end && may_finish &&
			!sfd_thread_started(&p->thread) && !p->finished)
			r = finish_early(p, err);
	}
	if (r < 0)
		return r;
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
			"skopeo has sent nothing for %d seconds", p->stall_ms / 1000);
	return 0;
}

ssize_t sfd_blob_pipe_read(
	struct sfd_blob_pipe *p, void *buffer, size_t n, struct splitfd_error *err)
{
	uint64_t left = p->pipeid != 0 ? p->size - p->bytes : n;
	ssize_t got;
	int r;

	if (left == 0)
		return 0;
	r = wait_bytes(p, p->fd, err);
	if (r < 0)
		return r;
	got = sfd_read_some(p->fd, buffer, left < n ? (size_t)left : n);
	if (got < 0)
		return splitfd_error_sys(err, (int)-got, "cannot read from skopeo");
	p->bytes += (uint64_t)got;
	return got;
}

uint64_t sfd_blob_pipe_bytes(const struct sfd_blob_pipe *p)
{
	return p->bytes;
}

/* All of the error pipe. */
static ssize_t read_text(
	struct sfd_blob_pipe *p, char *text, size_t size, struct splitfd_error *err)
{
	size_t n = 0;

	while (n < size) {
		int r = wait_bytes(p, p->errors, err);
		ssize_t got = r < 0 ? r : sfd_read_some(p->errors, text + n, size - n);

		if (r < 0)
			return r;
		if (got < 0)
			return splitfd_error_sys(err, (int)-got, "cannot read from skopeo");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* Empty and closed means that all is well. */
static int read_errors(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	char text[ERROR_MAX];
	ssize_t n = read_text(p, text, sizeof(text) - 1, err);
	const char *message;
	cJSON *json;
	int r;

	if (n <= 0)
		return (int)n;
	if (sfd_json_tree(text, (size_t)n, &json) == -ENOMEM)
		return splitfd_error_oom(err);
	message = sfd_member_text(json, "message");
	if (message == NULL)
		message = "no reason is given";
	r = splitfd_error_set(
		err, sfd_skopeo_kind(message, NULL), EREMOTEIO, "skopeo: %s", message);
	cJSON_Delete(json);
	return r;
}

int sfd_blob_pipe_finish(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	bool finished = p->finished;

	p->finished = true;
	p->fd = sfd_close(p->fd); /* or FinishPipe would wait */
	if (p->pipeid == 0)
		return read_errors(p, err);
	if (sfd_thread_started(&p->thread))
		return end_early(p, err);
	if (!finished)
		return sfd_proxy_finish(p->proxy, p->pipeid, err);
	return p->result < 0 ? splitfd_error_copy(err, p->result, &p->err) : p->result;
}

struct sfd_blob_pipe *sfd_blob_pipe_free(struct sfd_blob_pipe *p)
{
	if (p == NULL)
		return NULL;
	if (!p->finished && p->pipeid != 0)
		(void)sfd_blob_pipe_finish(p, NULL);
	sfd_close(p->stop_fd);
	sfd_close(p->fd);
	sfd_close(p->errors);
	free(p);
	return NULL;
}
