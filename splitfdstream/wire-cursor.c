/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
	if (err != NULL)
		*err = c->error;
	return c->failed;
}

int sfd_cursor_need(struct sfd_cursor *c, size_t n, const char *what, struct splitfd_error *err)
{
	if (c->end - c->start >= n)
		return 1;
	if (c->start > 0) {
		memmove(c->buffer, c->buffer + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	while (c->end < n) {
		ssize_t got = c->input->ops->read(
			c->input, c->buffer + c->end, sizeof(c->buffer) - c->end, &c->error);

		if (got < 0)
			return sfd_cursor_fail(c, c->offset + c->end, (int)got, err);
		if (got == 0 && c->end == 0)
			return 0;
		if (got == 0)
			return sfd_cursor_refuse(c, c->offset, err,
				"the stream ends inside %s, %zu of %zu bytes are missing", what,
				n - c->end, n);
		c->end += (size_t)got;
	}
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
