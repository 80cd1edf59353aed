/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sfd_buffer_reserve(struct sfd_buffer *b, size_t n)
{
	size_t need, cap;
	uint8_t *data;

	if (n > b->max || b->len > b->max - n)
		return -ENOBUFS;
	need = b->len + n;
	if (need <= b->cap)
		return 0;
	cap = b->cap < 256 ? 256 : b->cap;
	while (cap < need)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	data = realloc(b->data, cap);
	if (data == NULL)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int sfd_buffer_append(struct sfd_buffer *b, const void *data, size_t n)
{
	int r;

	if (n == 0)
		return 0;
	r = sfd_buffer_reserve(b, n);
	if (r < 0)
		return r;
	memcpy(b->data + b->len, data, n);
	b->len += n;
	return 0;
}

int sfd_buffer_append_str(struct sfd_buffer *b, const char *text)
{
	return sfd_buffer_append(b, text, strlen(text));
}

int sfd_buffer_printf(struct sfd_buffer *b, const char *format, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = sfd_buffer_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(ap, format);
	(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void sfd_buffer_consume(struct sfd_buffer *b, size_t n)
{
	if (n == 0)
		return;
	if (n < b->len)
		memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void sfd_buffer_done(struct sfd_buffer *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
}
