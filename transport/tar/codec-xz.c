/* SPDX-License-Identifier: Apache-2.0 */
/* liblzma, opened when the first xz stream is read: hardly any layer is one. */
#include "splitfdstream/base/dlopen-note.h"
#include "transport/tar/decompressor.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#define SONAME	   "liblzma.so.5"
#define MEMORY_MAX ((uint64_t)1 << 30)

SFD_DLOPEN_NOTE("xz", "Tars and layers that xz has compressed", SFD_DLOPEN_RECOMMENDED, SONAME);

struct xz {
	lzma_stream stream;
	__typeof__(&lzma_stream_decoder) decoder;
	__typeof__(&lzma_code) code;
	__typeof__(&lzma_end) end;
};

static bool matches(const uint8_t *at, size_t n)
{
	return n >= 6 && memcmp(at, "\xfd\x37\x7a\x58\x5a\x00", 6) == 0;
}

static int result(lzma_ret r, struct splitfd_error *err)
{
	const char *why = "is damaged";

	if (r == LZMA_OK || r == LZMA_STREAM_END)
		return r == LZMA_STREAM_END;
	if (r == LZMA_MEM_ERROR)
		return splitfd_error_oom(err);
	if (r == LZMA_MEMLIMIT_ERROR)
		why = "needs more than 1 GiB of memory";
	else if (r == LZMA_BUF_ERROR)
		why = "is truncated";
	else if (r == LZMA_FORMAT_ERROR)
		why = "has other bytes after its end";
	else if (r == LZMA_OPTIONS_ERROR)
		why = "uses what liblzma does not know";
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", why);
}

static int open_xz(void **ret, struct splitfd_error *err)
{
	static const char *const sonames[] = { SONAME, NULL };
	static const lzma_stream empty = LZMA_STREAM_INIT;
	struct xz *xz = calloc(1, sizeof(*xz));
	int r;

	if (xz == NULL)
		return splitfd_error_oom(err);
	r = sfd_codec_library("xz", sonames,
		(const struct sfd_library_function[]){
			{ "lzma_stream_decoder", &xz->decoder },
			{ "lzma_code", &xz->code },
			{ "lzma_end", &xz->end },
		},
		3, err);
	xz->stream = empty;
	if (r == 0)
		r = result(xz->decoder(&xz->stream, MEMORY_MAX, LZMA_CONCATENATED), err);
	if (r < 0) {
		free(xz);
		return r;
	}
	*ret = xz;
	return 0;
}

static int run(void *state, struct sfd_codec_buffers *b, struct splitfd_error *err)
{
	struct xz *xz = state;
	lzma_ret r;

	xz->stream.next_in = b->in;
	xz->stream.avail_in = b->in_len;
	xz->stream.next_out = b->out;
	xz->stream.avail_out = b->out_len;
	/* Only a finish makes it say that the last stream is complete. */
	r = xz->code(&xz->stream, b->last ? LZMA_FINISH : LZMA_RUN);
	b->in += b->in_len - xz->stream.avail_in;
	b->in_len = xz->stream.avail_in;
	b->out += b->out_len - xz->stream.avail_out;
	b->out_len = xz->stream.avail_out;
	return result(r, err);
}

static void free_xz(void *state)
{
	struct xz *xz = state;

	xz->end(&xz->stream);
	free(xz);
}

const struct sfd_codec sfd_codec_xz = { "xz", matches, open_xz, run, free_xz };
