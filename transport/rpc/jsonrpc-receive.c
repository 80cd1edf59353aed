/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of jsonrpc.h: its life, and what comes in. */
#include "transport/rpc/jsonrpc.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/rpc/jsonrpc-private.h"
#include "transport/rpc/socket-wait.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MESSAGE_MAX_DEFAULT ((size_t)64 * 1024)
#define VALUES_MAX_DEFAULT  4096
#define READ_SIZE	    ((size_t)16 * 1024)
/* Whitespace between two messages, which nobody needs; each batch of descriptors adds a space. */
#define BLANKS_MAX ((size_t)1024 * 1024)
/* A buffer that one message made larger than this is not kept. */
#define KEEP_MAX ((size_t)256 * 1024)

/* Ends the connection: what `c->error` says is said again by every later call. */
static int fail(struct sfd_jsonrpc *c, int r, int code, struct splitfd_error *err)
{
	c->failed = r;
	c->code = code;
	return splitfd_error_copy(err, r, &c->error);
}

static int failed(const struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	return splitfd_error_copy(err, c->failed, &c->error);
}

static int wrong_count(struct sfd_jsonrpc *c, const char *what, struct splitfd_error *err)
{
	int r = splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", what);

	return fail(c, r, SFD_JSONRPC_FDS, err);
}

/* A peer that failed, or was ended, while it sent. */
static int cut_off(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	int r = splitfd_error_set(&c->error, SPLITFD_ERROR_PEER, EBADMSG,
		"the peer closed the socket before all descriptors came");

	return fail(c, r, SFD_JSONRPC_FDS, err);
}

int sfd_jsonrpc_failure(const struct sfd_jsonrpc *c)
{
	return c->code;
}

/* How many descriptors there is room, and use, for. */
static size_t room(const struct sfd_jsonrpc *c)
{
	size_t n = SFD_JSONRPC_QUEUE_MAX - c->n_queued;

	if (c->options.fds_max < SFD_JSONRPC_QUEUE_MAX)
		n = c->options.fds_max > c->n_queued ? (size_t)c->options.fds_max - c->n_queued : 0;
	return n < SPLITFD_FDS_MAX ? n : SPLITFD_FDS_MAX;
}

/* One read. 0 where the peer has closed. */
static int read_more(struct sfd_jsonrpc *c, int64_t deadline, struct splitfd_error *err)
{
	size_t n_fds = 0;
	ssize_t got;
	int r;

	if (c->start > 0) {
		sfd_buffer_consume(&c->in, c->start);
		c->start = 0;
	}
	r = sfd_buffer_reserve(&c->in, READ_SIZE);
	if (r < 0)
		return fail(c, splitfd_error_oom(&c->error), 0, err);
	r = sfd_socket_wait(c->socket, POLLIN, deadline, c->options.cancel_fd, &c->error);
	if (r < 0)
		return fail(c, r, 0, err);
	got = splitfd_fds_receive(c->socket, c->in.data + c->in.len, READ_SIZE,
		c->queue + c->n_queued, room(c), &n_fds, 0, &c->error);
	if (got < 0)
		return fail(c, (int)got, got == -EBADMSG ? SFD_JSONRPC_FDS : 0, err);
	c->in.len += (size_t)got;
	c->n_queued += n_fds;
	return got > 0;
}

static int skip_blanks(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	size_t from = c->start;
	int r;

	while (c->start < c->in.len && sfd_json_blank(c->in.data[c->start]))
		c->start++;
	c->blanks += c->start - from;
	if (c->blanks <= BLANKS_MAX)
		return 0;
	r = splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, EMSGSIZE,
		"more than %zu bytes of whitespace between two messages", BLANKS_MAX);
	return fail(c, r, SFD_JSONRPC_PARSE_ERROR, err);
}

int sfd_jsonrpc_take_fd(struct sfd_jsonrpc *c, int *ret_fd, struct splitfd_error *err)
{
	int r;

	if (c->failed < 0)
		return failed(c, err);
	if (c->owed == 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, ENODATA, "the message has no more descriptors");
	while (c->n_queued == 0) {
		r = read_more(c, sfd_deadline(c->options.timeout_ms), err);
		if (r == 0)
			return cut_off(c, err);
		if (r < 0 || skip_blanks(c, err) < 0)
			return c->failed;
		if (c->n_queued < c->owed && c->start < c->in.len)
			return wrong_count(c,
				"the next message begins before all descriptors of one came", err);
	}
	*ret_fd = c->queue[0];
	c->n_queued--;
	c->owed--;
	memmove(c->queue, c->queue + 1, c->n_queued * sizeof(int));
	return 0;
}

static int drop_fds(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	int fd = -EBADF, r = 0;

	while (c->owed > 0 && r >= 0) {
		r = sfd_jsonrpc_take_fd(c, &fd, err);
		if (r >= 0)
			fd = sfd_close(fd);
	}
	return r;
}

static int bad_message(struct sfd_jsonrpc *c, int r, struct splitfd_error *err)
{
	if (r == -E2BIG)
		(void)splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, E2BIG,
			"a message is nested more than %d deep or has more than %zu values",
			SFD_JSON_DEPTH_MAX, c->options.values_max);
	else if (r == -EMSGSIZE)
		(void)splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, EMSGSIZE,
			"a message has more than %zu bytes", c->options.message_max);
	else
		(void)splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, EBADMSG,
			"a message is not JSON, or no object");
	return fail(
		c, r, r == -EBADMSG ? SFD_JSONRPC_PARSE_ERROR : SFD_JSONRPC_INVALID_REQUEST, err);
}

/* Scans what came: 1 where the message is complete, `scanned` is its length then. */
static int scan(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	size_t used = 0, at = c->start + c->scanned;
	int r = sfd_json_scan(&c->scan, c->in.data + at, c->in.len - at, &used);

	c->scanned += used;
	if (r >= 0 && c->scanned > c->options.message_max)
		r = -EMSGSIZE;
	return r < 0 ? bad_message(c, r, err) : r;
}

/* Until the next message is complete. 1, or 0 at the end. */
static int complete(struct sfd_jsonrpc *c, struct splitfd_error *err)
{
	int64_t deadline = sfd_deadline(c->options.idle_ms);
	bool begun = false;

	for (;;) {
		int r = c->scanned == 0 ? skip_blanks(c, err) : 0;

		if (r == 0 && c->start < c->in.len) {
			if (!begun)
				deadline = sfd_deadline(c->options.timeout_ms);
			begun = true;
			r = scan(c, err);
		} else if (r == 0 && c->n_queued > 0) {
			return wrong_count(c, "descriptors came that no message has", err);
		}
		if (r != 0)
			return r;
		r = read_more(c, deadline, err);
		if (r < 0 || (r == 0 && !begun))
			return r;
		if (r == 0) {
			r = splitfd_error_set(&c->error, SPLITFD_ERROR_PEER, ECONNRESET,
				"the peer closed the socket in the middle of a message");
			return fail(c, r, 0, err);
		}
	}
}

/* The message of `scanned` bytes leaves the buffer. */
static void consume(struct sfd_jsonrpc *c)
{
	c->start += c->scanned;
	c->scanned = 0;
	c->blanks = 0;
	c->scan = (struct sfd_json_scan){ .values_max = c->options.values_max };
	if (c->start < c->in.len)
		return;
	c->start = 0;
	c->in.len = 0;
	if (c->in.cap > KEEP_MAX)
		sfd_buffer_done(&c->in);
}

/* What can be said already of the descriptors of a message that has just come. */
static int check_fds(struct sfd_jsonrpc *c, uint64_t n, struct splitfd_error *err)
{
	int r = skip_blanks(c, err);

	if (r < 0)
		return r;
	if (n > c->options.fds_max)
		return wrong_count(c, "a message has more descriptors than any should", err);
	if (c->start < c->in.len && c->n_queued < n)
		return wrong_count(
			c, "the next message begins before all descriptors of one came", err);
	if (c->start == c->in.len && c->n_queued > n)
		return wrong_count(c, "more descriptors came than the message says", err);
	c->owed = n;
	return 0;
}

int sfd_jsonrpc_receive(
	struct sfd_jsonrpc *c, struct sfd_jsonrpc_message *ret, struct splitfd_error *err)
{
	int r, code = 0;

	*ret = (struct sfd_jsonrpc_message){ 0 };
	if (c->failed < 0)
		return failed(c, err);
	r = drop_fds(c, err);
	if (r == 0)
		r = complete(c, err);
	if (r <= 0)
		return r;
	r = sfd_jsonrpc_parse(
		(const char *)c->in.data + c->start, c->scanned, ret, &code, &c->error);
	consume(c);
	if (r < 0)
		r = fail(c, r, code, err);
	else
		r = check_fds(c, ret->n_fds, err);
	if (r < 0)
		sfd_jsonrpc_message_done(ret);
	return r < 0 ? r : 1;
}

int sfd_jsonrpc_new(int socket, const struct sfd_jsonrpc_options *options, struct sfd_jsonrpc **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = socket;
	struct sfd_jsonrpc *c;
	int type = 0, r = splitfd_fds_check_socket(owned, "JSON-RPC", &type, err);

	if (r >= 0 && type != SOCK_STREAM)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EPROTOTYPE,
			"JSON-RPC needs a stream socket, not one of packets");
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return splitfd_error_oom(err);
	if (options != NULL)
		c->options = *options;
	if (c->options.message_max == 0)
		c->options.message_max = MESSAGE_MAX_DEFAULT;
	if (c->options.values_max == 0)
		c->options.values_max = VALUES_MAX_DEFAULT;
	c->in.max = c->options.message_max + 2 * READ_SIZE;
	c->scan.values_max = c->options.values_max;
	c->socket = sfd_take_fd(&owned);
	*ret = c;
	return 0;
}

int sfd_jsonrpc_socket(const struct sfd_jsonrpc *c)
{
	return c->socket;
}

struct sfd_jsonrpc *sfd_jsonrpc_free(struct sfd_jsonrpc *c)
{
	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < c->n_queued; i++)
		sfd_close(c->queue[i]);
	sfd_buffer_done(&c->in);
	free(c->out);
	sfd_close(c->socket);
	free(c);
	return NULL;
}
