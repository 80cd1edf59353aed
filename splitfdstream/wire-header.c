/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-header.h"
#include "splitfdstream/dir-files.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define PREFIX_SIZE 8

enum chunk_type {
	TYPE_METADATA = 0x00,
	TYPE_INLINE_DATA = 0x01,
	TYPE_FILE_BACKED = 0x02,
	TYPE_FAILED = SFD_WIRE_FAILED,
};

#define BYTES_HEADER 5
#define FILE_HEADER  17

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

int sfd_splitfdstream_header(
	struct sfd_cursor *c, struct sfd_wire_header *ret, struct splitfd_error *err)
{
	uint64_t prefix;
	size_t n;
	int r = sfd_cursor_need(c, PREFIX_SIZE, "a chunk's prefix", err);

	if (r <= 0)
		return r;
	ret->offset = c->offset;
	prefix = get_u64(sfd_cursor_at(c, &n));
	sfd_cursor_take(c, PREFIX_SIZE);
	if ((prefix >> 63) == 0) {
		ret->kind = SFD_WIRE_REFERENCE;
		ret->size = UINT64_MAX;
		ret->index = (uint32_t)prefix;
		if (prefix > UINT32_MAX)
			return sfd_cursor_refuse(c, ret->offset, err,
				"descriptor %llu: an index has at most 32 bits",
				(unsigned long long)prefix);
		return 1;
	}
	ret->kind = SFD_WIRE_INLINE;
	/* Unsigned: -2^63 has no positive counterpart, but this is just its size, and too much. */
	ret->size = -prefix;
	if (ret->size > SPLITFD_INLINE_MAX)
		return sfd_cursor_refuse(c, ret->offset, err,
			"an inline chunk of %llu bytes, at most %zu are allowed",
			(unsigned long long)ret->size, SPLITFD_INLINE_MAX);
	return 1;
}

void sfd_splitfdstream_join(struct sfd_cursor *c, struct splitfd_chunk *last)
{
	while (c->end - c->start > PREFIX_SIZE) {
		uint64_t prefix = get_u64(c->buffer + c->start);

		if ((prefix >> 63) == 0 || !sfd_cursor_join(c, PREFIX_SIZE, -prefix, last))
			break;
	}
}

/* n bytes at hand, where the end of the stream is never right. */
static int need(struct sfd_cursor *c, size_t n, const char *what, struct splitfd_error *err)
{
	int r = sfd_cursor_need(c, n, what, err);

	if (r == 0)
		return sfd_cursor_refuse(c, c->offset, err,
			"the stream ends before %s, %zu bytes are missing", what, n);
	return r;
}

static int take_name(
	struct sfd_cursor *c, size_t len, struct sfd_wire_header *ret, struct splitfd_error *err)
{
	const uint8_t *at;
	const char *fault;
	size_t n;
	int r;

	if (len > SPLITFD_NAME_MAX)
		return sfd_cursor_refuse(c, ret->offset, err,
			"a name of %zu bytes, at most %d are allowed", len, SPLITFD_NAME_MAX);
	r = len > 0 ? need(c, len, "a file's name", err) : 0;
	if (r < 0)
		return r;
	at = sfd_cursor_at(c, &n);
	fault = sfd_dir_name_fault((const char *)at, len);
	if (fault != NULL)
		return sfd_cursor_refuse(c, ret->offset, err, "the name '%.*s' %s", (int)len,
			(const char *)at, fault);
	memcpy(ret->name, at, len);
	ret->name[len] = '\0';
	ret->name_len = len;
	sfd_cursor_take(c, len);
	return 1;
}

static int take_file(struct sfd_cursor *c, struct sfd_wire_header *ret, struct splitfd_error *err)
{
	const uint8_t *at;
	uint32_t name_len;
	size_t n;
	int r = need(c, FILE_HEADER, "a FileBackedData chunk's header", err);

	if (r < 0)
		return r;
	at = sfd_cursor_at(c, &n);
	ret->kind = SFD_WIRE_REFERENCE;
	ret->size = get_u64(at + 1);
	ret->index = get_u32(at + 9);
	name_len = get_u32(at + 13);
	sfd_cursor_take(c, FILE_HEADER);
	if (ret->size > INT64_MAX)
		return sfd_cursor_refuse(c, ret->offset, err,
			"a file of %llu bytes: more than a file can have",
			(unsigned long long)ret->size);
	return take_name(c, name_len, ret, err);
}

/* A producer's last word: what follows is its reason, up to the stream's end. */
static int take_failure(struct sfd_cursor *c, uint64_t offset, struct splitfd_error *err)
{
	ssize_t n = sfd_cursor_peek(c, SFD_WIRE_REASON_MAX + 1, err);
	const uint8_t *at;
	size_t have;
	int r;

	if (n < 0)
		return (int)n;
	at = sfd_cursor_at(c, &have);
	if (n == 1)
		return sfd_cursor_refuse(c, offset, err, "the producer failed");
	r = splitfd_error_set(&c->error, SPLITFD_ERROR_FAILED, EREMOTEIO,
		"the producer failed: %.*s", (int)n - 1, (const char *)at + 1);
	return sfd_cursor_fail(c, offset, r, err);
}

int sfd_splitdirfdstream_header(
	struct sfd_cursor *c, struct sfd_wire_header *ret, struct splitfd_error *err)
{
	uint8_t type;
	size_t n;
	int r = sfd_cursor_need(c, 1, "a chunk's type", err);

	if (r <= 0)
		return r;
	ret->offset = c->offset;
	type = *sfd_cursor_at(c, &n);
	if (type == TYPE_FILE_BACKED)
		return take_file(c, ret, err);
	if (type == TYPE_FAILED)
		return take_failure(c, ret->offset, err);
	if (type != TYPE_METADATA && type != TYPE_INLINE_DATA)
		return sfd_cursor_refuse(c, ret->offset, err, "unknown chunk type 0x%02x", type);
	r = need(c, BYTES_HEADER, "a chunk's header", err);
	if (r < 0)
		return r;
	ret->kind = type == TYPE_METADATA ? SFD_WIRE_INLINE : SFD_WIRE_CONTENT;
	ret->size = get_u32(sfd_cursor_at(c, &n) + 1);
	if (ret->size > SPLITFD_INLINE_MAX)
		return sfd_cursor_refuse(c, ret->offset, err,
			"a chunk of %llu bytes, at most %zu are allowed",
			(unsigned long long)ret->size, SPLITFD_INLINE_MAX);
	sfd_cursor_take(c, BYTES_HEADER);
	return 1;
}

void sfd_splitdirfdstream_join(struct sfd_cursor *c, struct splitfd_chunk *last)
{
	while (c->end - c->start >= BYTES_HEADER) {
		const uint8_t *at = c->buffer + c->start;

		if (at[0] != TYPE_METADATA ||
			!sfd_cursor_join(c, BYTES_HEADER, get_u32(at + 1), last))
			break;
	}
}
