/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/verify-sink.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/reconstruct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verify {
	struct splitfd_sink base;
	struct splitfd_sink *next;
	struct splitfd_sha256 *sha;
	char expected[72]; /* "": any */
	uint64_t expected_size;
	uint64_t size;
	char digest[72];
	int failed;
	struct splitfd_error error;
};

static int take_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct verify *v = ctx;

	if (n > UINT64_MAX - v->size || v->size + n > v->expected_size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream is longer than the layer's %llu bytes",
			(unsigned long long)v->expected_size);
	splitfd_sha256_update(v->sha, data, n);
	v->size += n;
	return 0;
}

static int put_file(struct verify *v, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	int r = splitfd_chunk_open(chunk, &fd, NULL, err);

	if (r >= 0)
		r = splitfd_chunk_read_fd(chunk, fd, take_bytes, v, err);
	if (r >= 0)
		chunk->fd = sfd_take_fd(&fd);
	return r;
}

static int pass_on(struct verify *v, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	int r;

	if (chunk->kind == SPLITFD_CHUNK_INLINE)
		r = take_bytes(v, chunk->data, chunk->data_len, err);
	else
		r = put_file(v, chunk, err);
	if (r < 0 || v->next == NULL) {
		splitfd_chunk_clear(chunk);
		return r;
	}
	return splitfd_sink_put(v->next, chunk, err);
}

static int keep_error(const struct verify *v, struct splitfd_error *err)
{
	return v->failed < 0 ? splitfd_error_copy(err, v->failed, &v->error) : v->failed;
}

static int verify_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	struct verify *v = (struct verify *)sink;

	if (v->failed < 0) {
		splitfd_chunk_clear(chunk);
		return keep_error(v, err);
	}
	v->failed = pass_on(v, chunk, &v->error);
	return keep_error(v, err);
}

static int check_whole(struct verify *v, struct splitfd_error *err)
{
	int r = splitfd_sha256_final_text(v->sha, v->digest, err);

	if (r < 0)
		return r;
	if (v->expected_size != UINT64_MAX && v->size != v->expected_size)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream has %llu bytes, the layer %llu", (unsigned long long)v->size,
			(unsigned long long)v->expected_size);
	if (v->expected[0] != '\0' && strcmp(v->expected, v->digest) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream ends at byte %llu and is %s, not the layer %s",
			(unsigned long long)v->size, v->digest, v->expected);
	return 0;
}

static int verify_finish(struct splitfd_sink *sink, struct splitfd_error *err)
{
	struct verify *v = (struct verify *)sink;

	if (v->failed < 0)
		return keep_error(v, err);
	v->failed = check_whole(v, &v->error);
	if (v->failed >= 0 && v->next != NULL)
		v->failed = splitfd_sink_finish(v->next, &v->error);
	return keep_error(v, err);
}

static void verify_free(struct splitfd_sink *sink)
{
	struct verify *v = (struct verify *)sink;

	splitfd_sink_free(v->next);
	splitfd_sha256_free(v->sha);
	free(v);
}

int splitfd_verify_sink_new(struct splitfd_sink *next, const struct splitfd_verify_options *options,
	struct splitfd_sink **ret, struct splitfd_error *err)
{
	static const struct splitfd_sink_ops ops = {
		.put = verify_put,
		.finish = verify_finish,
		.free = verify_free,
	};
	struct verify *v = calloc(1, sizeof(*v));
	struct splitfd_sha256 *sha = splitfd_sha256_new();

	if (v == NULL || sha == NULL) {
		free(v);
		splitfd_sha256_free(sha);
		splitfd_sink_free(next);
		return splitfd_error_oom(err);
	}
	v->base.ops = &ops;
	v->sha = sha;
	v->next = next;
	v->expected_size = options->size;
	if (options->diff_id != NULL && !sfd_parse_sha256(options->diff_id, NULL)) {
		verify_free(&v->base);
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' is not a digest like sha256:HEX", options->diff_id);
	}
	if (options->diff_id != NULL)
		memcpy(v->expected, options->diff_id, sizeof(v->expected));
	*ret = &v->base;
	return 0;
}

void splitfd_verify_sink_result(const struct splitfd_sink *sink, char text[72], uint64_t *ret_size)
{
	const struct verify *v = (const struct verify *)sink;

	if (text != NULL)
		memcpy(text, v->digest, sizeof(v->digest));
	if (ret_size != NULL)
		*ret_size = v->size;
}
