/* SPDX-License-Identifier: Apache-2.0 */
/* A splitstream file as it is read: header, references, chunks; nothing of it is believed. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/io.h"
#include "transport/composefs/algorithm.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream-header.h"
#include "transport/composefs/stream/zstd-range.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Object references are read in pieces of this size: their table can be larger than memory. */
#define REFS_PIECE ((size_t)64 * 1024)

struct sfd_splitstream {
	struct splitfd_repository *repository; /* borrowed; may be NULL */
	int fd;
	char *what;
	uint8_t digest_size;
	struct sfd_splitstream_header header;
	struct sfd_splitstream_ref *refs;
	size_t n_refs;
	struct sfd_zstd_range *zstd; /* NULL at the start */
	uint64_t inline_left;
	struct splitfd_error failed;
	uint8_t *piece; /* of the object references */
	size_t piece_first, piece_n;
};

struct sfd_splitstream *sfd_splitstream_free(struct sfd_splitstream *s)
{
	if (s == NULL)
		return NULL;
	sfd_close(s->fd);
	sfd_splitstream_refs_free(s->refs, s->n_refs);
	sfd_zstd_range_free(s->zstd);
	free(s->piece);
	free(s->what);
	free(s);
	return NULL;
}

static int read_front(struct sfd_splitstream *s, enum splitfd_algorithm algorithm,
	const char *content_type, struct splitfd_error *err)
{
	uint64_t size = 0;
	int r = sfd_check_regular(s->fd, UINT64_MAX, "the file", &size, err);

	if (r == 0)
		r = sfd_splitstream_read_header(s->fd, size, algorithm, &s->header, err);
	if (r == 0 && content_type != NULL && strcmp(content_type, s->header.content_type) != 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"its content type is '%s', not '%s'", s->header.content_type, content_type);
	if (r == 0)
		r = sfd_splitstream_read_refs(
			s->fd, &s->header, algorithm, &s->refs, &s->n_refs, err);
	return r < 0 ? splitfd_error_wrap(err, r, "splitstream %s", s->what) : 0;
}

int sfd_splitstream_open_fd(int fd, enum splitfd_algorithm algorithm,
	struct splitfd_repository *repository, const char *content_type, const char *what,
	struct sfd_splitstream **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = fd;
	sfd_cleanup_splitstream struct sfd_splitstream *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	s->fd = sfd_take_fd(&owned);
	s->repository = repository;
	s->digest_size = sfd_digest_size(algorithm);
	s->what = strdup(what);
	if (s->what == NULL)
		return splitfd_error_oom(err);
	r = read_front(s, algorithm, content_type, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&s);
	return 0;
}

int sfd_splitstream_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const char *content_type, struct sfd_splitstream **ret, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	int fd = -EBADF, r = sfd_object_open(repository, digest, &fd, NULL, err);

	if (r < 0)
		return r;
	splitfd_digest_hex(digest, hex);
	return sfd_splitstream_open_fd(fd, splitfd_repository_algorithm(repository), repository,
		content_type, hex, ret, err);
}

const char *sfd_splitstream_content_type(const struct sfd_splitstream *s)
{
	return s->header.content_type;
}

uint64_t sfd_splitstream_size(const struct sfd_splitstream *s)
{
	return s->header.stream_size;
}

size_t sfd_splitstream_n_objects(const struct sfd_splitstream *s)
{
	return (size_t)((s->header.object_refs.end - s->header.object_refs.start) / s->digest_size);
}

const struct sfd_splitstream_ref *sfd_splitstream_refs(
	const struct sfd_splitstream *s, size_t *ret_n)
{
	*ret_n = s->n_refs;
	return s->refs;
}

bool sfd_splitstream_find_ref(
	const struct sfd_splitstream *s, const char *name, struct splitfd_digest *ret)
{
	/* The last one of that name counts, as in cfsctl. */
	for (size_t i = s->n_refs; i-- > 0;) {
		if (strcmp(s->refs[i].name, name) == 0) {
			*ret = s->refs[i].digest;
			return true;
		}
	}
	return false;
}

static int load_piece(struct sfd_splitstream *s, size_t i, struct splitfd_error *err)
{
	size_t per_piece = REFS_PIECE / s->digest_size, left = sfd_splitstream_n_objects(s) - i;
	size_t n = left < per_piece ? left : per_piece;
	int r;

	if (s->piece == NULL)
		s->piece = malloc(REFS_PIECE);
	if (s->piece == NULL)
		return splitfd_error_oom(err);
	s->piece_n = 0;
	r = sfd_pread_full(s->fd, s->piece, n * s->digest_size,
		s->header.object_refs.start + (uint64_t)i * s->digest_size);
	if (r < 0)
		return splitfd_error_sys(err, r == -ENODATA ? EBADMSG : -r,
			"cannot read the object references of splitstream %s", s->what);
	s->piece_first = i;
	s->piece_n = n;
	return 0;
}

int sfd_splitstream_object_ref(
	struct sfd_splitstream *s, size_t i, struct splitfd_digest *ret, struct splitfd_error *err)
{
	if (i >= sfd_splitstream_n_objects(s))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"splitstream %s: object reference %zu is out of range", s->what, i);
	if (i < s->piece_first || i - s->piece_first >= s->piece_n) {
		int r = load_piece(s, i, err);

		if (r < 0)
			return r;
	}
	memset(ret, 0, sizeof(*ret));
	ret->size = s->digest_size;
	memcpy(ret->bytes, s->piece + (i - s->piece_first) * s->digest_size, s->digest_size);
	return 0;
}

/* The eight bytes in front of a chunk. 1, 0 at the end of the stream, -errno. */
static int read_prefix(struct sfd_splitstream *s, int64_t *ret, struct splitfd_error *err)
{
	uint8_t bytes[8];
	uint64_t le;
	size_t have = 0;

	while (have < sizeof(bytes)) {
		const uint8_t *data;
		size_t n;
		int r = sfd_zstd_range_peek(s->zstd, &data, &n, err);

		if (r < 0)
			return r;
		if (n == 0 && have == 0)
			return 0;
		if (n == 0)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"it ends inside a chunk's length");
		if (n > sizeof(bytes) - have)
			n = sizeof(bytes) - have;
		memcpy(bytes + have, data, n);
		have += n;
		sfd_zstd_range_take(s->zstd, n);
	}
	memcpy(&le, bytes, sizeof(le));
	*ret = (int64_t)le64toh(le);
	return 1;
}

static int next_inline(
	struct sfd_splitstream *s, struct sfd_splitstream_part *ret, struct splitfd_error *err)
{
	int r = sfd_zstd_range_peek(s->zstd, &ret->data, &ret->len, err);

	if (r < 0)
		return r;
	if (ret->len == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"it ends inside an inline chunk, %llu bytes too early",
			(unsigned long long)s->inline_left);
	if (ret->len > s->inline_left)
		ret->len = (size_t)s->inline_left;
	s->inline_left -= ret->len;
	sfd_zstd_range_take(s->zstd, ret->len);
	return 1;
}

static int next_part(
	struct sfd_splitstream *s, struct sfd_splitstream_part *ret, struct splitfd_error *err)
{
	int64_t prefix = 0;
	int r;

	if (s->zstd == NULL) {
		r = sfd_zstd_range_new(
			s->fd, s->header.stream.start, s->header.stream.end, &s->zstd, err);
		if (r < 0)
			return r;
	}
	if (s->inline_left > 0)
		return next_inline(s, ret, err);
	r = read_prefix(s, &prefix, err);
	if (r <= 0)
		return r;
	if (prefix == INT64_MIN)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"an inline chunk is longer than any file");
	if (prefix < 0) {
		s->inline_left = (uint64_t)-prefix;
		return next_inline(s, ret, err);
	}
	if ((uint64_t)prefix >= sfd_splitstream_n_objects(s))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"object reference %lld is out of range", (long long)prefix);
	*ret = (struct sfd_splitstream_part){ .object = (size_t)prefix };
	return 1;
}

int sfd_splitstream_next(
	struct sfd_splitstream *s, struct sfd_splitstream_part *ret, struct splitfd_error *err)
{
	int r;

	*ret = (struct sfd_splitstream_part){ 0 };
	if (s->repository != NULL && sfd_flag_is_set(s->repository->cancel))
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
	if (s->failed.errnum == 0) {
		r = next_part(s, ret, &s->failed);
		if (r >= 0)
			return r;
		splitfd_error_wrap(&s->failed, r, "splitstream %s", s->what);
	}
	return splitfd_error_copy(err, -s->failed.errnum, &s->failed);
}

void sfd_splitstream_rewind(struct sfd_splitstream *s)
{
	s->zstd = sfd_zstd_range_free(s->zstd);
	s->inline_left = 0;
	splitfd_error_clear(&s->failed);
}

/* The size of an object, without opening it. */
static int object_size(struct sfd_splitstream *s, const struct splitfd_digest *digest,
	uint64_t *ret, struct splitfd_error *err)
{
	char path[SFD_OBJECT_PATH_SIZE];
	struct stat st;
	int objects = s->repository == NULL ? -ENOENT
					    : sfd_repository_objects(s->repository, false, err);
	int r;

	sfd_object_path(digest, path);
	if (objects < 0 && objects != -ENOENT)
		return objects;
	r = objects < 0 ? objects : sfd_object_stat(s->repository, objects, digest, &st);
	if (r < 0)
		return splitfd_error_sys(err, -r, "object %s of splitstream %s", path, s->what);
	if (!S_ISREG(st.st_mode))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"object %s of splitstream %s is not a regular file", path, s->what);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int tell_object(struct sfd_splitstream *s, size_t index, bool with_sizes,
	const struct sfd_stream_listener *listener, struct splitfd_error *err)
{
	struct splitfd_digest digest;
	uint64_t size = UINT64_MAX;
	int r = sfd_splitstream_object_ref(s, index, &digest, err);

	if (r == 0 && with_sizes)
		r = object_size(s, &digest, &size, err);
	return r < 0 ? r : listener->object(listener->ctx, &digest, size, err);
}

int sfd_splitstream_tell(struct sfd_splitstream *s, bool with_sizes,
	const struct sfd_stream_listener *listener, struct splitfd_error *err)
{
	sfd_splitstream_rewind(s);
	for (;;) {
		struct sfd_splitstream_part part;
		int r = sfd_splitstream_next(s, &part, err);

		if (r <= 0)
			return r;
		if (part.len > 0)
			r = listener->inline_data(listener->ctx, part.data, part.len, err);
		else
			r = tell_object(s, part.object, with_sizes, listener, err);
		if (r < 0)
			return r;
	}
}
