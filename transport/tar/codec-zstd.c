/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/decompressor.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

static bool matches(const uint8_t *at, size_t n)
{
	/* The second: a frame to be skipped, which may come first. */
	return n >= 4 &&
	       (memcmp(at, "\x28\xb5\x2f\xfd", 4) == 0 ||
		       ((at[0] & 0xf0) == 0x50 && memcmp(at + 1, "\x2a\x4d\x18", 3) == 0));
}

static int open_zstd(void **ret, struct splitfd_error *err)
{
	/* It takes windows of at most 128 MiB. */
	*ret = ZSTD_createDStream();
	return *ret != NULL ? 0 : splitfd_error_oom(err);
}

static int run(void *state, struct sfd_codec_buffers *b, struct splitfd_error *err)
{
	ZSTD_inBuffer in = { .src = b->in, .size = b->in_len };
	ZSTD_outBuffer out = { .dst = b->out, .size = b->out_len };
	size_t r = ZSTD_decompressStream(state, &out, &in);

	b->in += in.pos;
	b->in_len -= in.pos;
	b->out += out.pos;
	b->out_len -= out.pos;
	if (!ZSTD_isError(r))
		return r == 0;
	if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
		return splitfd_error_oom(err);
	return splitfd_error_set(
		err, SPLITFD_ERROR_REFUSED, EBADMSG, "is damaged (%s)", ZSTD_getErrorName(r));
}

static void free_zstd(void *state)
{
	ZSTD_freeDStream(state);
}

const struct sfd_codec sfd_codec_zstd = { "zstd", matches, open_zstd, run, free_zstd };
