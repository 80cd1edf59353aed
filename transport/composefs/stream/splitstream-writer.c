/* SPDX-License-Identifier: Apache-2.0 */
/* A splitstream file in the making, equal to cfsctl's. */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/digest-table.h"
#include "transport/composefs/stream/number-set.h"
#include "transport/composefs/stream/spool.h"
#include "transport/composefs/stream/splitstream-format.h"
#include "transport/composefs/stream/splitstream.h"

#include <endian.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/* cfsctl's; another level gives other bytes and so another object. */
#define LEVEL 3

#define HEAD_SIZE (SFD_SPLITSTREAM_HEADER_SIZE + SFD_SPLITSTREAM_INFO_SIZE)
#define STEP	  ((size_t)128 * 1024)

/* What is kept in memory of a run of inline bytes, and of the compressed stream. */
#define RUN_MEMORY  ((size_t)4 * 1024 * 1024)
#define PACK_MEMORY ((size_t)1024 * 1024)

struct named_ref {
	char *name;
	size_t index;
};

struct sfd_splitstream_writer {
	enum splitfd_algorithm algorithm;
	char content_type[8];
	uint64_t stream_size;
	struct sfd_object_table *table; /* NULL before the first object */
	bool owns_table;
	struct sfd_number_set objects; /* numbers in the table */
	struct sfd_digest_table streams;
	struct named_ref *refs;
	size_t n_refs;
	struct sfd_spool run;
	ZSTD_CCtx *zstd;
	struct sfd_spool packed; /* the compressed stream */
	uint8_t *step;		 /* STEP bytes: a step's output */
	int spool_dir;		 /* borrowed */
	int failed;
};

SFD_DEFINE_CLEANUP(cleanup_writer_, struct sfd_splitstream_writer, sfd_splitstream_writer_free);

static int set_level(ZSTD_CCtx *zstd)
{
	return ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL)) ? -ENOMEM
											  : 0;
}

int sfd_splitstream_writer_new(enum splitfd_algorithm algorithm, const char *content_type,
	int spool_dir, struct sfd_splitstream_writer **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_writer_) struct sfd_splitstream_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return splitfd_error_oom(err);
	sfd_spool_init(&w->run, RUN_MEMORY, spool_dir);
	sfd_spool_init(&w->packed, PACK_MEMORY, spool_dir);
	sfd_digest_table_init(&w->streams, algorithm);
	w->algorithm = algorithm;
	w->spool_dir = spool_dir;
	memcpy(w->content_type, content_type, sizeof(w->content_type));
	w->zstd = ZSTD_createCCtx();
	w->step = malloc(STEP);
	if (w->zstd == NULL || w->step == NULL || set_level(w->zstd) < 0)
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
	sfd_spool_done(&w->run);
	sfd_spool_done(&w->packed);
	sfd_number_set_done(&w->objects);
	if (w->owns_table)
		sfd_object_table_free(w->table);
	sfd_digest_table_done(&w->streams);
	ZSTD_freeCCtx(w->zstd);
	free(w->step);
	free(w);
	return NULL;
}

void sfd_splitstream_writer_share(struct sfd_splitstream_writer *w, struct sfd_object_table *table)
{
	w->table = table;
}

/* One step of the compressor. 1: it has more to give; 0; -errno. */
static int compress_step(struct sfd_splitstream_writer *w, ZSTD_inBuffer *in, ZSTD_EndDirective end,
	struct sfd_spool *out, struct splitfd_error *err)
{
	ZSTD_outBuffer o = { w->step, STEP, 0 };
	size_t left = ZSTD_compressStream2(w->zstd, &o, in, end);
	int r;

	if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
		return splitfd_error_oom(err);
	if (ZSTD_isError(left))
		return splitfd_error_set(
			err, SPLITFD_ERROR_FAILED, EIO, "zstd: %s", ZSTD_getErrorName(left));
	if (sfd_spool_length(out) + o.pos > SFD_SPLITSTREAM_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EFBIG,
			"the layer's headers compress to more than %zu bytes", SFD_SPLITSTREAM_MAX);
	r = sfd_spool_add(out, w->step, o.pos, err);
	return r < 0 ? r : left > 0;
}

static int compress_bytes(struct sfd_splitstream_writer *w, const void *data, size_t n,
	struct sfd_spool *out, struct splitfd_error *err)
{
	ZSTD_inBuffer in = { data, n, 0 };

	while (in.pos < in.size) {
		int r = compress_step(w, &in, ZSTD_e_continue, out, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The end comes without data: data that comes with it gives other bytes. */
static int compress_end(
	struct sfd_splitstream_writer *w, struct sfd_spool *out, struct splitfd_error *err)
{
	ZSTD_inBuffer in = { NULL, 0, 0 };
	int r;

	do
		r = compress_step(w, &in, ZSTD_e_end, out, err);
	while (r > 0);
	return r;
}

static int take_run(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	struct sfd_splitstream_writer *w = ctx;

	return compress_bytes(w, data, n, &w->packed, err);
}

static int put_prefix(struct sfd_splitstream_writer *w, int64_t prefix, struct splitfd_error *err)
{
	uint64_t le = htole64((uint64_t)prefix);

	return compress_bytes(w, &le, sizeof(le), &w->packed, err);
}

static int flush_run(struct sfd_splitstream_writer *w, struct splitfd_error *err)
{
	uint64_t length = sfd_spool_length(&w->run);
	int r;

	if (length == 0)
		return 0;
	r = put_prefix(w, -(int64_t)length, err);
	return r < 0 ? r : sfd_spool_flush(&w->run, take_run, w, err);
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
		r = sfd_spool_add(&w->run, data, n, err);
	return keep_failure(w, r);
}

static int bad_digest(ptrdiff_t r, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, (int)-r,
		"a digest of %d bytes cannot be added to the splitstream", digest->size);
}

static int add_object(struct sfd_splitstream_writer *w, const struct splitfd_digest *digest,
	size_t *ret, struct splitfd_error *err)
{
	ptrdiff_t i;

	if (w->table == NULL) {
		w->table = sfd_object_table_new(w->algorithm);
		w->owns_table = true;
	}
	i = w->table != NULL ? sfd_object_table_add(w->table, digest) : -ENOMEM;
	if (i >= 0)
		i = sfd_number_set_add(&w->objects, (uint32_t)i);
	if (i < 0)
		return bad_digest(i, digest, err);
	*ret = (size_t)i;
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
		r = add_object(w, digest, &index, err);
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
	ptrdiff_t index;
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	index = sfd_digest_table_add(&w->streams, digest, NULL);
	if (index < 0)
		return keep_failure(w, bad_digest(index, digest, err));
	for (size_t i = 0; i < w->n_refs; i++) {
		if (strcmp(w->refs[i].name, name) != 0)
			continue;
		if (w->refs[i].index == (size_t)index)
			return 0;
		return keep_failure(
			w, splitfd_error_set(err, SPLITFD_ERROR_FAILED, EEXIST,
				   "the reference '%s' is given twice, for two streams", name));
	}
	return keep_failure(w, add_ref(w, name, (size_t)index, err));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct named_ref *)a)->name, ((const struct named_ref *)b)->name);
}

static int compress_refs(
	struct sfd_splitstream_writer *w, struct sfd_spool *out, struct splitfd_error *err)
{
	int r;

	if (ZSTD_isError(ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only)))
		return splitfd_error_oom(err);
	if (w->n_refs > 0)
		qsort(w->refs, w->n_refs, sizeof(*w->refs), compare_names);
	for (size_t i = 0; i < w->n_refs; i++) {
		char number[24];

		snprintf(number, sizeof(number), "%zu:", w->refs[i].index);
		r = compress_bytes(w, number, strlen(number), out, err);
		if (r == 0)
			r = compress_bytes(
				w, w->refs[i].name, strlen(w->refs[i].name) + 1, out, err);
		if (r < 0)
			return r;
	}
	return compress_end(w, out, err);
}

static uint64_t put_range(uint8_t *at, uint64_t start, uint64_t length)
{
	uint64_t range[2] = { htole64(start), htole64(start + length) };

	memcpy(at, range, sizeof(range));
	return start + length;
}

static void put_header(const struct sfd_splitstream_writer *w, uint64_t refs_len, uint8_t *head)
{
	const uint64_t start = HEAD_SIZE;
	uint8_t *info = head + SFD_SPLITSTREAM_HEADER_SIZE;
	uint64_t size = htole64(w->stream_size), at;

	memset(head, 0, start);
	memcpy(head, SFD_SPLITSTREAM_MAGIC, SFD_SPLITSTREAM_MAGIC_SIZE);
	head[SFD_HEADER_ALGORITHM] = (uint8_t)w->algorithm;
	head[SFD_HEADER_LG_BLOCK] = SFD_SPLITSTREAM_LG_BLOCK;
	put_range(head + SFD_HEADER_INFO, SFD_SPLITSTREAM_HEADER_SIZE, SFD_SPLITSTREAM_INFO_SIZE);
	at = put_range(info + SFD_INFO_STREAM_REFS, start, w->streams.n * w->streams.digest_size);
	at = put_range(info + SFD_INFO_OBJECT_REFS, at, w->objects.n * w->streams.digest_size);
	at = put_range(info + SFD_INFO_NAMED_REFS, at, refs_len);
	put_range(info + SFD_INFO_STREAM, at, sfd_spool_length(&w->packed));
	memcpy(info + SFD_INFO_TYPE, w->content_type, sizeof(w->content_type));
	memcpy(info + SFD_INFO_SIZE, &size, sizeof(size));
}

static int write_objects(struct sfd_splitstream_writer *w, sfd_splitstream_output *output,
	void *ctx, struct splitfd_error *err)
{
	size_t size = w->streams.digest_size, most = STEP / size;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->objects.n; i += most) {
		size_t n = w->objects.n - i < most ? w->objects.n - i : most;

		sfd_object_table_get(w->table, w->objects.numbers + i, n, w->step);
		r = output(ctx, w->step, n * size, err);
	}
	return r;
}

static int write_all(struct sfd_splitstream_writer *w, struct sfd_spool *refs,
	sfd_splitstream_output *output, void *ctx, struct splitfd_error *err)
{
	uint8_t head[HEAD_SIZE];
	int r;

	put_header(w, sfd_spool_length(refs), head);
	r = output(ctx, head, sizeof(head), err);
	if (r == 0 && w->streams.n > 0)
		r = output(ctx, w->streams.digests, w->streams.n * w->streams.digest_size, err);
	if (r == 0)
		r = write_objects(w, output, ctx, err);
	if (r == 0)
		r = sfd_spool_flush(refs, output, ctx, err);
	return r < 0 ? r : sfd_spool_flush(&w->packed, output, ctx, err);
}

int sfd_splitstream_finish_to(struct sfd_splitstream_writer *w, sfd_splitstream_output *output,
	void *ctx, struct splitfd_error *err)
{
	struct sfd_spool refs;
	int r = check_usable(w, err);

	if (r < 0)
		return r;
	sfd_spool_init(&refs, PACK_MEMORY, w->spool_dir);
	r = flush_run(w, err);
	if (r == 0)
		r = compress_end(w, &w->packed, err);
	if (r == 0)
		r = compress_refs(w, &refs, err);
	if (r == 0)
		r = write_all(w, &refs, output, ctx, err);
	sfd_spool_done(&refs);
	w->failed = r < 0 ? r : -EPIPE;
	return r;
}

static int append(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err)
{
	return sfd_buffer_append(ctx, data, n) < 0 ? splitfd_error_oom(err) : 0;
}

int sfd_splitstream_finish(struct sfd_splitstream_writer *w, char **ret_data, size_t *ret_size,
	struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer file = { .max = SIZE_MAX / 2 };
	int r = sfd_splitstream_finish_to(w, append, &file, err);

	if (r < 0)
		return r;
	*ret_size = file.len;
	*ret_data = (char *)file.data;
	file.data = NULL;
	return 0;
}
