/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/blob-pipe.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/thread.h"
#include "transport/json/json-tree.h"
#include "transport/skopeo/proxy-fetch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

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
		.fd = sfd_take_fd(&reply->fds[0]),
		.errors = raw ? sfd_take_fd(&reply->fds[1]) : -EBADF,
		.pipeid = reply->pipeid,
		.size = size,
		.stall_ms = stall_ms };
	*ret = p;
	return 0;
}

static void *finish_thread(void *arg)
{
	struct sfd_blob_pipe *p = arg;

	p->result = sfd_proxy_finish(p->proxy, p->pipeid, &p->err);
	return NULL;
}

static int finish_early(struct sfd_blob_pipe *p)
{
	return sfd_thread_start(&p->thread, SFD_STACK_SMALL, finish_thread, p);
}

static int wait_bytes(struct sfd_blob_pipe *p, int fd, struct splitfd_error *err)
{
	int left = p->stall_ms, r = 0;

	while (r == 0 && left > 0) {
		int part = left < SILENCE_MS ? left : SILENCE_MS;

		r = sfd_proxy_check_ending(p->proxy, err);
		if (r < 0)
			return r;
		r = sfd_wait_fd(fd, POLLIN, part);
		left -= part;
		if (r == 0 && left > 0 && fd == p->fd && p->pipeid != 0 &&
			!sfd_thread_started(&p->thread))
			r = finish_early(p);
	}
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot wait for skopeo");
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

/* Empty and closed means that all is well. */
static int read_errors(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	char text[ERROR_MAX];
	ssize_t n;
	int r = wait_bytes(p, p->errors, err);

	if (r < 0)
		return r;
	n = sfd_read_upto(p->errors, text, sizeof(text) - 1);
	if (n < 0)
		return splitfd_error_sys(err, (int)-n, "cannot read from skopeo");
	if (n > 0) {
		const cJSON *message;
		cJSON *json;

		if (sfd_json_tree(text, (size_t)n, &json) == -ENOMEM)
			return splitfd_error_oom(err);
		message = cJSON_GetObjectItemCaseSensitive(json, "message");
		r = splitfd_error_set(err, SPLITFD_ERROR_FAILED, EREMOTEIO, "skopeo: %s",
			cJSON_IsString(message) ? message->valuestring : "no reason is given");
		cJSON_Delete(json);
	}
	return r;
}

int sfd_blob_pipe_finish(struct sfd_blob_pipe *p, struct splitfd_error *err)
{
	p->finished = true;
	p->fd = sfd_close(p->fd); /* or FinishPipe would wait */
	if (p->pipeid == 0)
		return read_errors(p, err);
	if (!sfd_thread_started(&p->thread))
		return sfd_proxy_finish(p->proxy, p->pipeid, err);
	sfd_thread_join(&p->thread);
	if (p->result < 0 && err != NULL)
		*err = p->err;
	return p->result;
}

struct sfd_blob_pipe *sfd_blob_pipe_free(struct sfd_blob_pipe *p)
{
	if (p == NULL)
		return NULL;
	if (!p->finished && p->pipeid != 0)
		(void)sfd_blob_pipe_finish(p, NULL);
	sfd_close(p->fd);
	sfd_close(p->errors);
	free(p);
	return NULL;
}
