/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/splitstream-header.h"
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/stream/splitstream-format.h"
#include "transport/composefs/stream/zstd-range.h"

#include <ctype.h>
#include <endian.h>
#include <string.h>

#define NAMED_REFS_MAX ((size_t)16 * 1024 * 1024)

SFD_DEFINE_CLEANUP(cleanup_zstd_, struct sfd_zstd_range, sfd_zstd_range_free);

static int malformed(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", what);
}

static int read_at(
	int fd, void *buffer, size_t n, uint64_t at, const char *what, struct splitfd_error *err)
{
	int r = sfd_pread_full(fd, buffer, n, at);

	if (r == -ENODATA)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EBADMSG, "it ends inside its %s", what);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot read its %s", what);
	return 0;
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t le;

	memcpy(&le, at, sizeof(le));
	return le64toh(le);
}

static int get_range(const uint8_t *at, uint64_t size, const char *what, struct sfd_range *ret,
	struct splitfd_error *err)
{
	ret->start = get_u64(at);
	ret->end = get_u64(at + 8);
	if (ret->start > ret->end || ret->end > size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"its %s lie at %llu to %llu, outside of its %llu bytes", what,
			(unsigned long long)ret->start, (unsigned long long)ret->end,
			(unsigned long long)size);
	return 0;
}

/* The header's fields; *ret_info is where the info's range is in it. */
static int check_header(const uint8_t *h, enum splitfd_algorithm algorithm,
	const uint8_t **ret_info, struct splitfd_error *err)
{
	bool current = memcmp(h, SFD_SPLITSTREAM_MAGIC, SFD_SPLITSTREAM_MAGIC_SIZE) == 0;
	uint8_t version = h[current ? SFD_HEADER_VERSION : SFD_OLD_HEADER_VERSION];
	uint8_t alg = h[current ? SFD_HEADER_ALGORITHM : SFD_OLD_HEADER_ALG];
	uint8_t block = h[current ? SFD_HEADER_LG_BLOCK : SFD_OLD_HEADER_LG];

	if (!current && memcmp(h + SFD_OLD_HEADER_MAGIC, SFD_SPLITSTREAM_MAGIC,
				SFD_SPLITSTREAM_MAGIC_SIZE) != 0)
		return malformed(err, "it is not a splitstream (its magic value is another)");
	if (version != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EPROTONOSUPPORT,
			"it is a splitstream of version %d; this program knows version 0", version);
	if (alg != algorithm)
		return malformed(err, "its fs-verity algorithm is not the repository's");
	if (block != SFD_SPLITSTREAM_LG_BLOCK)
		return malformed(err, "its fs-verity block size is not 4096");
	*ret_info = current ? h + SFD_HEADER_INFO : h;
	return 0;
}

static int parse_info(const uint8_t *info, uint64_t size, size_t digest_size,
	struct sfd_splitstream_header *ret, struct splitfd_error *err)
{
	int r = get_range(info + SFD_INFO_STREAM_REFS, size, "splitstream references",
		&ret->stream_refs, err);

	if (r == 0)
		r = get_range(info + SFD_INFO_OBJECT_REFS, size, "object references",
			&ret->object_refs, err);
	if (r == 0)
		r = get_range(info + SFD_INFO_STREAM, size, "chunks", &ret->stream, err);
	if (r == 0)
		r = get_range(info + SFD_INFO_NAMED_REFS, size, "named references",
			&ret->named_refs, err);
	if (r < 0)
		return r;
	if ((ret->stream_refs.end - ret->stream_refs.start) % digest_size != 0)
		return malformed(err, "its splitstream references are not whole digests");
	if ((ret->object_refs.end - ret->object_refs.start) % digest_size != 0)
		return malformed(err, "its object references are not whole digests");
	memcpy(ret->content_type, info + SFD_INFO_TYPE, 8);
	ret->content_type[8] = '\0';
	ret->stream_size = get_u64(info + SFD_INFO_SIZE);
	return 0;
}

int sfd_splitstream_read_header(int fd, uint64_t size, enum splitfd_algorithm algorithm,
	struct sfd_splitstream_header *ret, struct splitfd_error *err)
{
	uint8_t header[SFD_SPLITSTREAM_HEADER_SIZE], info[SFD_SPLITSTREAM_INFO_SIZE];
	struct sfd_range range = { 0 };
	const uint8_t *at = NULL;
	int r = read_at(fd, header, sizeof(header), 0, "header", err);

	if (r == 0)
		r = check_header(header, algorithm, &at, err);
	if (r == 0)
		r = get_range(at, size, "metadata", &range, err);
	if (r < 0)
		return r;
	if (range.end - range.start < sizeof(info))
		return malformed(err, "its metadata are too short");
	r = read_at(fd, info, sizeof(info), range.start, "metadata", err);
	if (r < 0)
		return r;
	return parse_info(info, size, sfd_digest_size(algorithm), ret, err);
}

void sfd_splitstream_refs_free(struct sfd_splitstream_ref *refs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(refs[i].name);
	free(refs);
}

static int read_all(
	int fd, const struct sfd_range *range, struct sfd_buffer *out, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_zstd_) struct sfd_zstd_range *z = NULL;
	int r = sfd_zstd_range_new(fd, range->start, range->end, &z, err);

	if (r < 0)
		return r;
	for (;;) {
		const uint8_t *data;
		size_t n;

		r = sfd_zstd_range_peek(z, &data, &n, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "its named references");
		if (n == 0)
			return 0;
		r = sfd_buffer_append(out, data, n);
		if (r == -ENOBUFS)
			return malformed(err, "its named references are longer than 16 MiB");
		if (r < 0)
			return splitfd_error_oom(err);
		sfd_zstd_range_take(z, n);
	}
}

struct ref_reader {
	int fd;
	const struct sfd_splitstream_header *header;
	uint8_t digest_size;
	struct sfd_splitstream_ref *refs;
	size_t n, cap;
};

static int add_ref(
	struct ref_reader *rr, const char *name, uint64_t index, struct splitfd_error *err)
{
	struct sfd_splitstream_ref *ref;

	if (rr->n == rr->cap) {
		size_t cap = rr->cap == 0 ? 16 : rr->cap * 2;

		ref = reallocarray(rr->refs, cap, sizeof(*ref));
		if (ref == NULL)
			return splitfd_error_oom(err);
		rr->refs = ref;
		rr->cap = cap;
	}
	ref = &rr->refs[rr->n];
	memset(ref, 0, sizeof(*ref));
	ref->digest.size = rr->digest_size;
	ref->name = strdup(name);
	if (ref->name == NULL)
		return splitfd_error_oom(err);
	rr->n++;
	return read_at(rr->fd, ref->digest.bytes, rr->digest_size,
		rr->header->stream_refs.start + index * rr->digest_size, "splitstream references",
		err);
}

/* One record, NUL-terminated, of `len` bytes; written into. */
static int parse_ref(struct ref_reader *rr, char *record, size_t len, struct splitfd_error *err)
{
	const struct sfd_range *range = &rr->header->stream_refs;
	char *colon = strchr(record, ':');
	uint64_t index, n = (range->end - range->start) / rr->digest_size;

	if (!sfd_utf8_valid(record, len))
		return malformed(err, "a named reference is not UTF-8");
	if (colon == NULL)
		return malformed(err, "a named reference has no colon");
	*colon = '\0';
	if (!sfd_parse_u64(record, UINT64_MAX, &index))
		return malformed(err, "a named reference has no number");
	if (index >= n)
		return malformed(err, "a named reference is out of bounds");
	return add_ref(rr, colon + 1, index, err);
}

int sfd_splitstream_read_refs(int fd, const struct sfd_splitstream_header *header,
	enum splitfd_algorithm algorithm, struct sfd_splitstream_ref **ret, size_t *ret_n,
	struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer text = { .max = NAMED_REFS_MAX };
	struct ref_reader rr = { .fd = fd, .header = header };
	int r = read_all(fd, &header->named_refs, &text, err);

	rr.digest_size = sfd_digest_size(algorithm);
	for (size_t at = 0; r == 0 && at < text.len;) {
		char *record = (char *)text.data + at;
		char *end = memchr(record, '\0', text.len - at);

		if (end == NULL) {
			r = malformed(err, "trailing data after its named references");
			break;
		}
		r = parse_ref(&rr, record, (size_t)(end - record), err);
		at = (size_t)(end + 1 - (char *)text.data);
	}
	*ret = rr.refs;
	*ret_n = rr.n;
	return r;
}
