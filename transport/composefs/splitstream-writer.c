/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/digest-table.h"
#include "transport/composefs/inline-run.h"
#include "transport/composefs/splitstream-format.h"
#include "transport/composefs/splitstream.h"

#include <endian.h>
#include <string.h>
#include <zstd.h>

/* cfsctl's; another level gives other bytes and so another object. */
#define LEVEL 3

struct named_ref {
	char *name;
	size_t index;
};

struct sfd_splitstream_writer {
	enum splitfd_algorithm algorithm;
	char content_type[8];
	uint64_t stream_size;
	struct sfd_digest_table objects, streams;
	struct named_ref *refs;
	size_t n_refs;
	struct sfd_inline_run run;
	ZSTD_CCtx *zstd;
	struct sfd_buffer out; /* the compressed stream */
	int failed;
};

SFD_DEFINE_CLEANUP(cleanup_writer_, struct sfd_splitstream_writer, sfd_splitstream_writer_free);

static int set_level(ZSTD_CCtx *zstd)
{
	return ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL)) ? -ENOMEM
											  : 0;
}

int sfd_splitstream_writer_new(enum splitfd_algorithm algorithm, const char *content_type,
	struct sfd_splitstream_writer **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_writer_) struct sfd_splitstream_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return splitfd_error_oom(err);
	sfd_inline_run_init(&w->run);
	sfd_digest_table_init(&w->objects, algorithm);
	sfd_digest_table_init(&w->streams, algorithm);
	w->out.max = SFD_SPLITSTREAM_MAX;
	w->algorithm = algorithm;
	memcpy(w->content_type, content_type, sizeof(w->content_type));
	w->zstd = ZSTD_createCCtx();
	if (w->zstd == NULL || set_level(w->zstd) < 0)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&w);
	return 0;
}

struct sfd_splitstream_writer *sfd_splitstream_writer_free(struct sfd_splitstream_writer *w)
{
	if (w == NULL)
		return NULL;
	for (size_t i = 0; i < w->n_refs; i++)
		free(w->refs[i].name);
	free(w->refs);
	sfd_inline_run_done(&w->run);
	sfd_digest_table_done(&w->objects);
	sfd_digest_table_done(&w->streams);
	ZSTD_freeCCtx(w->zstd);
	sfd_buffer_done(&w->out);
	free(w);
	return NULL;
}

/* One step of the compressor into `out`. Returns what the compressor has left, or -errno. */
static ssize_t compress_step(ZSTD_CCtx *zstd, ZSTD_inBuffer *in, ZSTD_EndDirective end,
	struct sfd_buffer *out, struct splitfd_error *err)
{
	ZSTD_outBuffer o;
	size_t left;
	int r = sfd_buffer_reserve(out, ZSTD_CStreamOutSize());

	if (r == -ENOBUFS)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EFBIG,
			"the layer's headers compress to more than %zu bytes", out->max);
	if (r < 0)
		return splitfd_error_oom(err);
	o = (ZSTD_outBuffer){ out->data + out->len, ZSTD_CStreamOutSize(), 0 };
	left = ZSTD_compressStream2(zstd, &o, in, end);
	if (ZSTD_isError(left))
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EIO, "zstd: %s", ZSTD_getErrorName(left));
	out->len += o.pos;
	return left > 0 ? 1 : 0;
}

static int compress_bytes(ZSTD_CCtx *zstd, const void *data, size_t n, struct sfd_buffer *out,
	struct splitfd_error *err)
{
	ZSTD_inBuffer in = { data, n, 0 };

	while (in.pos < in.size) {
		ssize_t r = compress_step(zstd, &in, ZSTD_e_continue, out, err);

		if (r < 0)
			return (int)r;
	}
	return 0;
}

/* The end comes without data: data that comes with it gives other bytes. */
static int compress_end(ZSTD_CCtx *zstd, struct sfd_buffer *out, struct splitfd_error *err)
{
	ZSTD_inBuffer in = { NULL, 0, 0 };
	ssize_t r;

	do
		r = compress_step(zstd, &in, ZSTD_e_end, out, err);
	while (r > 0);
	return (int)r;
}

static int take_run(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct sfd_splitstream_writer *w = ctx;

	return compress_bytes(w->zstd, data, n, &w->out, err);
}

static int put_prefix(struct sfd_splitstream_writer *w, int64_t prefix, struct splitfd_error *err)
{
	uint64_t le = htole64((uint64_t)prefix);

	return compress_bytes(w->zstd, &le, sizeof(le), &w->out, err);
}

static int flush_run(struct sfd_splitstream_writer *w, struct splitfd_error *err)
{
	uint64_t length = sfd_inline_run_length(&w->run);
	int r;

	if (length == 0)
		return 0;
	r = put_prefix(w, -(int64_t)length, err);
	return r < 0 ? r : sfd_inline_run_flush(&w->run, take_run, w, err);
}

/* After a failure the stream has a hole: it must never be finished. */
static int keep_failure(struct sfd_splitstream_writer *w, int r)
{
	if (r < 0)
		w->failed = r;
	return r;
}

static int check_usable(const struct sfd_splitstream_writer *w, struct splitfd_error *err)
{
	if (w->failed == 0)
		return 0;
	return splitfd_error_set(
		err, SPLITFD_ERROR_FAILED, -w->failed, "the splitstream failed before");
}

static int count_bytes(struct sfd_splitstream_writer *w, uint64_t n, struct splitfd_error *err)
{
	if (__builtin_add_overflow(w->stream_size, n, &w->stream_size) ||
		w->stream_size > INT64_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_REFUSED, EFBIG, "the layer is larger than 2^63 bytes");
	return 0;
}

int sfd_splitstream_inline(
	struct sfd_splitstream_writer *w, const void *data, size_t n, struct splitfd_error *err)
{
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	r = count_bytes(w, n, err);
	if (r == 0)
		r = sfd_inline_run_add(&w->run, data, n, err);
	return keep_failure(w, r);
}

static int add_digest(struct sfd_digest_table *table, const struct splitfd_digest *digest,
	size_t *ret, struct splitfd_error *err)
{
	ptrdiff_t index = sfd_digest_table_add(table, digest, NULL);

	if (index == -ENOMEM)
		return splitfd_error_oom(err);
	if (index < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, (int)-index,
			"a digest cannot be added to the splitstream (%zu there, size %d)",
			table->n, digest->size);
	*ret = (size_t)index;
	return 0;
}

int sfd_splitstream_object(struct sfd_splitstream_writer *w, const struct splitfd_digest *digest,
	uint64_t size, struct splitfd_error *err)
{
	size_t index = 0;
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	r = flush_run(w, err);
	if (r == 0)
		r = count_bytes(w, size, err);
	if (r == 0)
		r = add_digest(&w->objects, digest, &index, err);
	if (r == 0)
		r = put_prefix(w, (int64_t)index, err);
	return keep_failure(w, r);
}

static int add_ref(
	struct sfd_splitstream_writer *w, const char *name, size_t index, struct splitfd_error *err)
{
	struct named_ref *refs = reallocarray(w->refs, w->n_refs + 1, sizeof(*refs));

	if (refs == NULL)
		return splitfd_error_oom(err);
	w->refs = refs;
	refs[w->n_refs] = (struct named_ref){ strdup(name), index };
	if (refs[w->n_refs].name == NULL)
		return splitfd_error_oom(err);
	w->n_refs++;
	return 0;
}

int sfd_splitstream_ref(struct sfd_splitstream_writer *w, const char *name,
	const struct splitfd_digest *digest, struct splitfd_error *err)
{
	size_t index = 0;
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	r = add_digest(&w->streams, digest, &index, err);
	if (r < 0)
		return keep_failure(w, r);
	for (size_t i = 0; i < w->n_refs; i++) {
		if (strcmp(w->refs[i].name, name) != 0)
			continue;
		if (w->refs[i].index == index)
			return 0;
		return keep_failure(
			w, splitfd_error_set(err, SPLITFD_ERROR_FAILED, EEXIST,
				   "the reference '%s' is given twice, for two streams", name));
	}
	return keep_failure(w, add_ref(w, name, index, err));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct named_ref *)a)->name, ((const struct named_ref *)b)->name);
}

static int compress_refs(
	struct sfd_splitstream_writer *w, struct sfd_buffer *out, struct splitfd_error *err)
{
	int r;

	if (ZSTD_isError(ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only)))
		return splitfd_error_oom(err);
	if (w->n_refs > 0)
		qsort(w->refs, w->n_refs, sizeof(*w->refs), compare_names);
	for (size_t i = 0; i < w->n_refs; i++) {
		char number[24];

		snprintf(number, sizeof(number), "%zu:", w->refs[i].index);
		r = compress_bytes(w->zstd, number, strlen(number), out, err);
		if (r == 0)
			r = compress_bytes(
				w->zstd, w->refs[i].name, strlen(w->refs[i].name) + 1, out, err);
		if (r < 0)
			return r;
	}
	return compress_end(w->zstd, out, err);
}

static uint64_t put_range(uint8_t *at, uint64_t start, uint64_t length)
{
	uint64_t range[2] = { htole64(start), htole64(start + length) };

	memcpy(at, range, sizeof(range));
	return start + length;
}

static void put_header(const struct sfd_splitstream_writer *w, size_t refs_len, uint8_t *file)
{
	const uint64_t start = SFD_SPLITSTREAM_HEADER_SIZE + SFD_SPLITSTREAM_INFO_SIZE;
	uint8_t *info = file + SFD_SPLITSTREAM_HEADER_SIZE;
	uint64_t size = htole64(w->stream_size), at;

	memset(file, 0, start);
	memcpy(file, SFD_SPLITSTREAM_MAGIC, SFD_SPLITSTREAM_MAGIC_SIZE);
	file[SFD_HEADER_ALGORITHM] = (uint8_t)w->algorithm;
	file[SFD_HEADER_LG_BLOCK] = SFD_SPLITSTREAM_LG_BLOCK;
	put_range(file + SFD_HEADER_INFO, SFD_SPLITSTREAM_HEADER_SIZE, SFD_SPLITSTREAM_INFO_SIZE);
	at = put_range(info + SFD_INFO_STREAM_REFS, start, w->streams.n * w->streams.digest_size);
	at = put_range(info + SFD_INFO_OBJECT_REFS, at, w->objects.n * w->objects.digest_size);
	at = put_range(info + SFD_INFO_NAMED_REFS, at, refs_len);
	put_range(info + SFD_INFO_STREAM, at, w->out.len);
	memcpy(info + SFD_INFO_TYPE, w->content_type, sizeof(w->content_type));
	memcpy(info + SFD_INFO_SIZE, &size, sizeof(size));
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t n)
{
	if (n > 0)
		memcpy(at, data, n);
	return at + n;
}

static int assemble(struct sfd_splitstream_writer *w, const struct sfd_buffer *refs,
	char **ret_data, size_t *ret_size, struct splitfd_error *err)
{
	size_t head = SFD_SPLITSTREAM_HEADER_SIZE + SFD_SPLITSTREAM_INFO_SIZE;
	size_t n_streams = w->streams.n * w->streams.digest_size;
	size_t n_objects = w->objects.n * w->objects.digest_size;
	size_t size = head + n_streams + n_objects + refs->len + w->out.len;
	uint8_t *file = malloc(size + 1), *at;

	if (file == NULL)
		return splitfd_error_oom(err);
	put_header(w, refs->len, file);
	at = put_bytes(file + head, w->streams.digests, n_streams);
	at = put_bytes(at, w->objects.digests, n_objects);
	at = put_bytes(at, refs->data, refs->len);
	at = put_bytes(at, w->out.data, w->out.len);
	*at = '\0';
	*ret_data = (char *)file;
	*ret_size = size;
	return 0;
}

int sfd_splitstream_finish(struct sfd_splitstream_writer *w, char **ret_data, size_t *ret_size,
	struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer refs = { .max = SFD_SPLITSTREAM_MAX };
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	r = flush_run(w, err);
	if (r == 0)
		r = compress_end(w->zstd, &w->out, err);
	if (r == 0)
		r = compress_refs(w, &refs, err);
	if (r == 0)
		r = assemble(w, &refs, ret_data, ret_size, err);
	w->failed = r < 0 ? r : -EPIPE;
	return r;
}
