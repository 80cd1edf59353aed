/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-fetch.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)

struct drain {
	int fd;
	struct sfd_buffer data;
	int result;
};

static void *drain(void *arg)
{
	struct drain *d = arg;
	ssize_t n;

	do {
		d->result = sfd_buffer_reserve(&d->data, PIECE);
		if (d->result < 0)
			break;
		n = sfd_read_some(d->fd, d->data.data + d->data.len, PIECE);
		if (n < 0)
			d->result = (int)n;
		else
			d->data.len += (size_t)n;
	} while (d->result == 0 && n > 0);
	d->fd = sfd_close(d->fd); /* or the other side would wait for us */
	return NULL;
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
	struct sfd_thread thread;
	int r;

	d->fd = sfd_take_fd(&reply->fds[0]);
	r = sfd_thread_start(&thread, SFD_STACK_SMALL, drain, d);
	if (r < 0) {
		d->fd = sfd_close(d->fd);
		return splitfd_error_sys(err, -r, "cannot start a thread");
	}
	r = sfd_proxy_finish(proxy, reply->pipeid, err);
	sfd_thread_join(&thread);
	if (d->result == -ENOBUFS)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the document has more than %zu bytes", d->data.max - PIECE - 1);
	if (r == 0 && d->result < 0)
		return splitfd_error_sys(err, -d->result, "cannot read from skopeo");
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
	struct drain d = { .fd = -EBADF, .data = { .max = max + PIECE + 1 } };
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
