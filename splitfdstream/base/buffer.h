/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_BUFFER_H
#define SPLITFD_BASE_BUFFER_H

/*
 * A growing run of bytes with a bound. `data` may be NULL while `len` is 0.
 * Starts as { .max = BOUND }; sfd_buffer_done() frees it.
 */

#include <stddef.h>
#include <stdint.h>

struct sfd_buffer {
	uint8_t *data;
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* never more than this; 0 means nothing may be added */
};

/* Makes room for n more bytes behind `len`. -ENOBUFS when the bound would be passed, -ENOMEM. */
int sfd_buffer_reserve(struct sfd_buffer *b, size_t n);

/* Appends n bytes. 0, -ENOBUFS, -ENOMEM. */
int sfd_buffer_append(struct sfd_buffer *b, const void *data, size_t n);

/* Appends a string without its NUL. */
int sfd_buffer_append_str(struct sfd_buffer *b, const char *text);

/* Appends by printf format, without a NUL. */
int sfd_buffer_printf(struct sfd_buffer *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Drops the first n bytes (n <= len) by moving the rest to the front. */
void sfd_buffer_consume(struct sfd_buffer *b, size_t n);

/* Frees the memory; the struct can be used again, with the same bound. */
void sfd_buffer_done(struct sfd_buffer *b);

#define sfd_cleanup_buffer sfd_cleanup(sfd_buffer_done)

#endif
