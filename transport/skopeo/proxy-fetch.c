/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-fetch.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)

/* The document as far as it has come, while FinishPipe is waited for and after. */
struct drain {
	struct sfd_proxy_beside beside;
	struct sfd_buffer data;
	int failed;
	struct splitfd_error err;
};

static int take_piece(struct drain *d, struct splitfd_error *err)
{
	int r = sfd_buffer_reserve(&d->data, PIECE);
	ssize_t n;

	if (r == -ENOBUFS)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the document has more than %zu bytes", d->data.max - PIECE - 1);
	if (r < 0)
		return splitfd_error_oom(err);
	n = sfd_read_some(d->beside.fd, d->data.data + d->data.len, PIECE);
	if (n < 0)
		return splitfd_error_sys(err, (int)-n, "cannot read from skopeo");
	d->data.len += (size_t)n;
	return n > 0;
}

/* A failure is ours, not the call's: FinishPipe is answered all the same, once the pipe is closed.
 */
static int take(struct sfd_proxy_beside *beside, struct splitfd_error *err)
{
	struct drain *d = (struct drain *)beside;
	int r = take_piece(d, &d->err);

	(void)err;
	d->failed = r < 0 ? r : 0;
	if (r <= 0)
		beside->fd = sfd_close(beside->fd);
	return 0;
}

/* What is left in the pipe after FinishPipe: its end comes with it. */
static int take_rest(struct sfd_proxy *proxy, struct drain *d, struct splitfd_error *err)
{
	int stall_ms = sfd_proxy_stall_ms(proxy);

	while (d->beside.fd >= 0) {
		int r = sfd_wait_or_cancel(
			d->beside.fd, POLLIN, sfd_proxy_stop_fd(proxy), stall_ms);
		if (r == -ECANCELED)
			return sfd_proxy_check_ending(proxy, err);
		if (r < 0)
			return splitfd_error_sys(err, -r, "cannot wait for skopeo");
		if (r == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, ETIMEDOUT,
				"skopeo has finished a pipe, but not closed it for %d seconds",
				stall_ms / 1000);
		(void)take(&d->beside, NULL);
	}
	return d->failed < 0 ? splitfd_error_copy(err, d->failed, &d->err) : d->failed;
}

int sfd_proxy_finish(struct sfd_proxy *proxy, uint32_t pipeid, struct splitfd_error *err)
{
	struct sfd_proxy_reply reply;
	char args[32];
	int r;

	snprintf(args, sizeof(args), "[%u]", pipeid);
	r = sfd_proxy_call(proxy, "FinishPipe", args, -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, "FinishPipe", err);
	sfd_proxy_reply_done(&reply);
	return r;
}

static int drain_and_finish(struct sfd_proxy *proxy, struct sfd_proxy_reply *reply, struct drain *d,
	struct splitfd_error *err)
{
	struct sfd_proxy_reply finished;
	char args[32];
	int r;

	d->beside.fd = sfd_take_fd(&reply->fds[0]);
	snprintf(args, sizeof(args), "[%u]", reply->pipeid);
	r = sfd_proxy_call_beside(proxy, "FinishPipe", args, &d->beside, &finished, err);
	if (r == 0) {
		/* Where we have closed the pipe, it says so. */
		r = d->failed < 0 ? 0 : sfd_proxy_check(&finished, "FinishPipe", err);
		sfd_proxy_reply_done(&finished);
	}
	if (r == 0)
		r = take_rest(proxy, d, err);
	d->beside.fd = sfd_close(d->beside.fd);
	return r;
}

static int take_value(const struct sfd_proxy_reply *reply, char **ret, struct splitfd_error *err)
{
	*ret = NULL;
	if (!cJSON_IsString(reply->value))
		return 0;
	*ret = strdup(reply->value->valuestring);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

int sfd_proxy_fetch(struct sfd_proxy *proxy, const char *method, const char *args, size_t max,
	char **ret_data, size_t *ret_size, char **ret_value, struct splitfd_error *err)
{
	struct drain d = { .beside = { .fd = -EBADF, .ready = take },
		.data = { .max = max + PIECE + 1 } };
	struct sfd_proxy_reply reply;
	int r;

	r = sfd_proxy_call(proxy, method, args, -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, method, err);
	if (r == 0 && (reply.n_fds != 1 || reply.pipeid == 0))
		r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
			"skopeo's reply to %s has no pipe", method);
	if (r == 0)
		r = drain_and_finish(proxy, &reply, &d, err);
	if (r == 0 && sfd_buffer_append(&d.data, "", 1) < 0)
		r = splitfd_error_oom(err);
	if (r == 0 && ret_value != NULL)
		r = take_value(&reply, ret_value, err);
	sfd_proxy_reply_done(&reply);
	if (r < 0) {
		sfd_buffer_done(&d.data);
		return r;
	}
	*ret_size = d.data.len - 1;
	*ret_data = (char *)d.data.data;
	return 0;
}
