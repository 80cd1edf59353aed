/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/splitstream-bytes.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)

SFD_DEFINE_CLEANUP(cleanup_sha256_, struct splitfd_sha256, splitfd_sha256_free);

struct reader {
	struct splitfd_repository *repository;
	uint8_t *piece;
	const struct sfd_stream_taker *taker;
};

static int read_object(
	struct reader *rd, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = -EBADF;
	int r = sfd_object_open(rd->repository, digest, &fd, NULL, err);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = sfd_read_some(fd, rd->piece, PIECE);

		if (n < 0)
			return splitfd_error_sys(err, (int)-n, "cannot read an object");
		if (n == 0)
			return 0;
		r = rd->taker->take(rd->taker->ctx, rd->piece, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

static int on_inline(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	struct reader *rd = ctx;

	return rd->taker->take(rd->taker->ctx, data, len, err);
}

static int on_object(
	void *ctx, const struct splitfd_digest *digest, uint64_t size, struct splitfd_error *err)
{
	(void)size;
	return read_object(ctx, digest, err);
}

static int stream_bytes(struct splitfd_repository *repository, struct sfd_splitstream *s,
	const struct sfd_stream_taker *taker, struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *piece = malloc(PIECE);
	struct reader rd = { repository, piece, taker };
	const struct sfd_stream_listener listener = { on_inline, on_object, &rd };

	if (piece == NULL)
		return splitfd_error_oom(err);
	return sfd_splitstream_tell(s, false, &listener, err);
}

int sfd_stream_bytes(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const struct sfd_stream_taker *taker, struct splitfd_error *err)
{
	sfd_cleanup_splitstream struct sfd_splitstream *s = NULL;
	int r = sfd_splitstream_open(repository, digest, NULL, &s, err);

	return r < 0 ? r : stream_bytes(repository, s, taker, err);
}

struct sums {
	struct splitfd_sha256 *sha256;
	uint64_t size;
};

static int sum_up(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	struct sums *sums = ctx;

	(void)err;
	splitfd_sha256_update(sums->sha256, data, len);
	sums->size += len;
	return 0;
}

static int judge(const struct sfd_splitstream *s, const struct sums *sums, const char *sha256,
	const char *diff_id, struct splitfd_error *err)
{
	if (diff_id != NULL && strcmp(diff_id, sha256) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the layer %s is not what its name says: its sha256 is %s", diff_id,
			sha256);
	if (sums->size != sfd_splitstream_size(s))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the stream has %llu bytes, its header says %llu",
			(unsigned long long)sums->size,
			(unsigned long long)sfd_splitstream_size(s));
	return 0;
}

int sfd_stream_verify(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const char *diff_id, char ret_sha256[72], uint64_t *ret_size, struct splitfd_error *err)
{
	sfd_cleanup_splitstream struct sfd_splitstream *s = NULL;
	sfd_cleanup(cleanup_sha256_) struct splitfd_sha256 *sha256 = splitfd_sha256_new();
	struct sums sums = { sha256, 0 };
	const struct sfd_stream_taker taker = { sum_up, &sums };
	char text[72];
	int r;

	if (sha256 == NULL)
		return splitfd_error_oom(err);
	r = sfd_splitstream_open(repository, digest, NULL, &s, err);
	if (r == 0)
		r = stream_bytes(repository, s, &taker, err);
	if (r == 0)
		r = splitfd_sha256_final_text(sha256, text, err);
	if (r < 0)
		return r;
	if (ret_sha256 != NULL)
		memcpy(ret_sha256, text, sizeof(text));
	if (ret_size != NULL)
		*ret_size = sums.size;
	return judge(s, &sums, text, diff_id, err);
}
