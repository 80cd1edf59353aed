/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rpc/varlink.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/socket-wait.h"
#include "transport/rpc/varlink-json.h"

#include <cjson/cJSON.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define MESSAGE_MAX_DEFAULT ((size_t)64 * 1024 * 1024)
#define VALUES_MAX_DEFAULT  ((size_t)4 * 1024 * 1024)
/* Of one read, and of one write: a peer that takes nothing shows between two of them. */
#define PIECE ((size_t)64 * 1024)
/* A buffer that one message made larger than this is not kept. */
#define KEEP_MAX ((size_t)256 * 1024)
/* How long the peer gets to take plain messages before one with descriptors follows them. */
#define SETTLE_MS 1000

struct pending_fd {
	int fd;
	uint64_t frame; /* the message that it belongs to */
};

struct sfd_varlink {
	int socket;
	struct sfd_varlink_options options;
	struct sfd_buffer in;
	size_t start;	    /* of the first message in `in` */
	uint64_t complete;  /* messages whose end has come */
	uint64_t delivered; /* messages that were given away */
	struct pending_fd fds[2 * SFD_VARLINK_FDS_MAX];
	size_t n_fds;
	bool plain; /* something without descriptors was sent last */
};

/* Descriptors of the last read belong to message number `frame`. */
static int keep_fds(
	struct sfd_varlink *v, const int *fds, size_t n, uint64_t frame, struct splitfd_error *err)
{
	size_t same = 0;

	for (size_t i = 0; i < v->n_fds; i++)
		same += v->fds[i].frame == frame;
	if (n > SFD_VARLINK_FDS_MAX - same) {
		for (size_t i = 0; i < n; i++)
			sfd_close(fds[i]);
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"a message of the peer has more than %d descriptors", SFD_VARLINK_FDS_MAX);
	}
	/* Two messages at most have any: the one that is being received, and the one that the last
	 * read ended in. */
	for (size_t i = 0; i < n; i++)
		v->fds[v->n_fds++] = (struct pending_fd){ fds[i], frame };
	return 0;
}

static uint64_t count_ends(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;
	uint64_t ends = 0;

	while ((data = memchr(data, '\0', (size_t)(end - data))) != NULL) {
		ends++;
		data++;
	}
	return ends;
}

/* One read. 0 where the peer has closed. */
static int read_more(struct sfd_varlink *v, int64_t deadline, struct splitfd_error *err)
{
	int fds[SPLITFD_FDS_MAX], r;
	size_t n_fds = 0;
	ssize_t got;
	uint8_t *at;

	if (v->start > 0) {
		sfd_buffer_consume(&v->in, v->start);
		v->start = 0;
	}
	if (sfd_buffer_reserve(&v->in, PIECE) < 0)
		return splitfd_error_oom(err);
	r = sfd_socket_wait(v->socket, POLLIN, deadline, v->options.cancel_fd, err);
	if (r < 0)
		return r;
	at = v->in.data + v->in.len;
	got = splitfd_fds_receive(v->socket, at, PIECE, fds, SPLITFD_FDS_MAX, &n_fds, 1000, err);
	if (got <= 0)
		return (int)got;
	v->in.len += (size_t)got;
	v->complete += count_ends(at, (size_t)got);
	if (n_fds == 0)
		return 1;
	r = keep_fds(v, fds, n_fds, v->complete - (at[got - 1] == '\0'), err);
	return r < 0 ? r : 1;
}

static int too_long(const struct sfd_varlink *v, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EMSGSIZE,
		"a message of the peer is longer than %zu bytes", v->options.message_max);
}

/* Until the first message in the buffer is complete; *ret_len is its length. 1, or 0 at the end. */
static int complete_message(struct sfd_varlink *v, size_t *ret_len, struct splitfd_error *err)
{
	bool begun = v->in.len > v->start;
	int64_t deadline = sfd_deadline(begun ? v->options.timeout_ms : v->options.idle_ms);

	while (v->complete == v->delivered) {
		int r;

		if (v->in.len - v->start > v->options.message_max)
			return too_long(v, err);
		r = read_more(v, deadline, err);
		if (r == 0 && v->in.len > v->start)
			return splitfd_error_set(err, SPLITFD_ERROR_PEER, ECONNRESET,
				"the peer has closed the socket in the middle of a message");
		if (r <= 0)
			return r;
		if (!begun)
			deadline = sfd_deadline(v->options.timeout_ms);
		begun = true;
	}
	*ret_len = strlen((const char *)v->in.data + v->start);
	return *ret_len > v->options.message_max ? too_long(v, err) : 1;
}

static void give_fds(struct sfd_varlink *v, struct sfd_varlink_message *ret)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n_fds; i++) {
		if (v->fds[i].frame == v->delivered)
			ret->fds[ret->n_fds++] = v->fds[i].fd;
		else
			v->fds[kept++] = v->fds[i];
	}
	v->n_fds = kept;
}

static void drop_message(struct sfd_varlink *v, size_t len)
{
	v->delivered++;
	v->start += len + 1;
	if (v->start < v->in.len)
		return;
	v->start = 0;
	v->in.len = 0;
	if (v->in.cap > KEEP_MAX)
		sfd_buffer_done(&v->in);
}

int sfd_varlink_receive(
	struct sfd_varlink *v, struct sfd_varlink_message *ret, struct splitfd_error *err)
{
	size_t len = 0;
	int r;

	ret->json = NULL;
	ret->n_fds = 0;
	r = complete_message(v, &len, err);
	if (r <= 0)
		return r;
	give_fds(v, ret);
	r = sfd_varlink_parse(
		(const char *)v->in.data + v->start, len, v->options.values_max, &ret->json, err);
	drop_message(v, len);
	return r < 0 ? r : 1;
}

void sfd_varlink_message_done(struct sfd_varlink_message *m)
{
	cJSON_Delete(m->json);
	m->json = NULL;
	for (size_t i = 0; i < m->n_fds; i++)
		sfd_close(m->fds[i]);
	m->n_fds = 0;
}

/* A reader that takes one batch of descriptors with each read gives it to the first message of that
 * read: nothing without descriptors may still be on its way when a message with some is sent. */
static void settle(struct sfd_varlink *v)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int64_t deadline = sfd_deadline(SETTLE_MS);
	int unread = 0;

	while (v->plain && ioctl(v->socket, SIOCOUTQ, &unread) == 0 && unread > 0 &&
		sfd_now_ms() < deadline)
		(void)nanosleep(&pause, NULL);
}

static int send_all(struct sfd_varlink *v, const char *text, size_t n, const int *fds, size_t n_fds,
	struct splitfd_error *err)
{
	int64_t deadline = sfd_deadline(v->options.timeout_ms);

	while (n > 0) {
		size_t piece = n < PIECE ? n : PIECE;
		int r = 0;

		/* A last word that need not wait goes out also where waiting shall end. */
		if (sfd_wait_fd(v->socket, POLLOUT, 0) == 0)
			r = sfd_socket_wait(
				v->socket, POLLOUT, deadline, v->options.cancel_fd, err);
		if (r == 0)
			r = splitfd_fds_send(
				v->socket, text, piece, fds, n_fds, sfd_left_until(deadline), err);
		if (r < 0)
			return r;
		text += piece;
		n -= piece;
		n_fds = 0;
	}
	return 0;
}

int sfd_varlink_send(struct sfd_varlink *v, const struct cJSON *message, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_free char *text = cJSON_PrintUnformatted(message);
	size_t len;

	if (text == NULL)
		return splitfd_error_oom(err);
	len = strlen(text);
	if (len > v->options.message_max)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EMSGSIZE,
			"a message would be longer than %zu bytes", v->options.message_max);
	if (!sfd_utf8_valid(text, len))
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EILSEQ, "a message would not be UTF-8");
	if (n_fds > 0)
		settle(v);
	v->plain = n_fds == 0;
	return send_all(v, text, len + 1, fds, n_fds, err);
}

int sfd_varlink_new(int socket, const struct sfd_varlink_options *options, struct sfd_varlink **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = socket;
	struct sfd_varlink *v;
	int type = 0, r = splitfd_fds_check_socket(owned, "varlink", &type, err);

	if (r >= 0 && type != SOCK_STREAM)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EPROTOTYPE,
			"varlink needs a stream socket, not one of packets");
	if (r < 0)
		return r;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return splitfd_error_oom(err);
	if (options != NULL)
		v->options = *options;
	if (v->options.message_max == 0)
		v->options.message_max = MESSAGE_MAX_DEFAULT;
	if (v->options.values_max == 0)
		v->options.values_max = VALUES_MAX_DEFAULT;
	/* What is behind the first message's end came with the same read. */
	v->in.max = v->options.message_max + 2 * PIECE;
	v->socket = sfd_take_fd(&owned);
	*ret = v;
	return 0;
}

struct sfd_varlink *sfd_varlink_free(struct sfd_varlink *v)
{
	if (v == NULL)
		return NULL;
	for (size_t i = 0; i < v->n_fds; i++)
		sfd_close(v->fds[i].fd);
	sfd_buffer_done(&v->in);
	sfd_close(v->socket);
	free(v);
	return NULL;
}

int sfd_varlink_socket(const struct sfd_varlink *v)
{
	return v->socket;
}
