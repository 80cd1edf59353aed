/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Runs of more bytes are given as they are: copying them costs more than a call. */
#define JOIN_MAX 512

int sfd_cursor_fail(struct sfd_cursor *c, uint64_t offset, int r, struct splitfd_error *err)
{
	(void)splitfd_error_wrap(
		&c->error, r, "%s, byte %llu", c->format, (unsigned long long)offset);
	c->failed = r;
	return sfd_cursor_failed(c, err);
}

int sfd_cursor_refuse(
	struct sfd_cursor *c, uint64_t offset, struct splitfd_error *err, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)splitfd_error_set(&c->error, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", text);
	return sfd_cursor_fail(c, offset, -EBADMSG, err);
}

int sfd_cursor_failed(const struct sfd_cursor *c, struct splitfd_error *err)
{
	return splitfd_error_copy(err, c->failed, &c->error);
}

ssize_t sfd_cursor_peek(struct sfd_cursor *c, size_t n, struct splitfd_error *err)
{
	if (c->end - c->start < n && c->start > 0) {
		memmove(c->buffer, c->buffer + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	while (c->end - c->start < n) {
		ssize_t got = c->input->ops->read(
			c->input, c->buffer + c->end, sizeof(c->buffer) - c->end, &c->error);

		if (got < 0)
			return sfd_cursor_fail(c, c->offset + c->end - c->start, (int)got, err);
		if (got == 0)
			break;
		c->end += (size_t)got;
	}
	return (ssize_t)(c->end - c->start);
}

int sfd_cursor_need(struct sfd_cursor *c, size_t n, const char *what, struct splitfd_error *err)
{
	ssize_t got = sfd_cursor_peek(c, n, err);

	if (got <= 0)
		return (int)got;
	if ((size_t)got < n)
		return sfd_cursor_refuse(c, c->offset, err,
			"the stream ends inside %s, %zu of %zu bytes are missing", what,
			n - (size_t)got, n);
	return 1;
}

const uint8_t *sfd_cursor_at(const struct sfd_cursor *c, size_t *ret_n)
{
	*ret_n = c->end - c->start;
	return c->buffer + c->start;
}

void sfd_cursor_take(struct sfd_cursor *c, size_t n)
{
	c->start += n;
	c->offset += n;
}

int sfd_cursor_inline(struct sfd_cursor *c, uint64_t *left, const char *what,
	struct splitfd_chunk *ret, struct splitfd_error *err)
{
	const uint8_t *data;
	size_t n;
	int r = sfd_cursor_need(c, 1, what, err);

	if (r < 0)
		return r;
	if (r == 0)
		return sfd_cursor_refuse(c, c->offset, err,
			"the stream ends inside %s, %llu bytes are missing", what,
			(unsigned long long)*left);
	data = sfd_cursor_at(c, &n);
	if (n > *left)
		n = (size_t)*left;
	sfd_cursor_take(c, n);
	*left -= n;
	*ret = (struct splitfd_chunk){
		.kind = SPLITFD_CHUNK_INLINE,
		.data = data,
		.data_len = n,
		.fd = -EBADF,
	};
	return 1;
}

bool sfd_cursor_join(struct sfd_cursor *c, size_t header, uint64_t n, struct splitfd_chunk *last)
{
	size_t at = (size_t)(last->data - c->buffer) + last->data_len;

	if (n > JOIN_MAX || c->end - c->start < header + n)
		return false;
	/* A call of memmove for a byte or two is most of the work. */
	if (n == 1)
		c->buffer[at] = c->buffer[c->start + header];
	else
		memmove(c->buffer + at, c->buffer + c->start + header, (size_t)n);
	last->data_len += (size_t)n;
	sfd_cursor_take(c, header + (size_t)n);
	return true;
}
