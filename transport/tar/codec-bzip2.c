/* SPDX-License-Identifier: Apache-2.0 */
/* libbz2, opened when the first bzip2 stream is read: hardly any layer is one. */
#include "splitfdstream/base/dlopen-note.h"
#include "transport/tar/decompressor.h"

#include <bzlib.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SONAME "libbz2.so.1.0"

SFD_DLOPEN_NOTE(
	"bzip2", "Tars and layers that bzip2 has compressed", SFD_DLOPEN_RECOMMENDED, SONAME);

struct bzip2 {
	bz_stream stream;
	bool in_stream;
	__typeof__(&BZ2_bzDecompressInit) init;
	__typeof__(&BZ2_bzDecompress) decompress;
	__typeof__(&BZ2_bzDecompressEnd) end;
};

static bool matches(const uint8_t *at, size_t n)
{
	return n >= 3 && memcmp(at, "BZh", 3) == 0;
}

static int result(int r, struct splitfd_error *err)
{
	if (r == BZ_OK || r == BZ_STREAM_END)
		return 0;
	if (r == BZ_MEM_ERROR)
		return splitfd_error_oom(err);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s",
		r == BZ_DATA_ERROR_MAGIC ? "has other bytes after its end" : "is damaged");
}

static int open_bzip2(void **ret, struct splitfd_error *err)
{
	/* Its name differs between distributions. */
	static const char *const sonames[] = { SONAME, "libbz2.so.1", NULL };
	struct bzip2 *bz = calloc(1, sizeof(*bz));
	int r;

	if (bz == NULL)
		return splitfd_error_oom(err);
	r = sfd_codec_library("bzip2", sonames,
		(const struct sfd_library_function[]){
			{ "BZ2_bzDecompressInit", &bz->init },
			{ "BZ2_bzDecompress", &bz->decompress },
			{ "BZ2_bzDecompressEnd", &bz->end },
		},
		3, err);
	if (r < 0) {
		free(bz);
		return r;
	}
	*ret = bz;
	return 0;
}

static int begin(struct bzip2 *bz, struct splitfd_error *err)
{
	int r;

	memset(&bz->stream, 0, sizeof(bz->stream));
	r = result(bz->init(&bz->stream, 0, 0), err);
	bz->in_stream = r == 0;
	return r;
}

static int run(void *state, struct sfd_codec_buffers *b, struct splitfd_error *err)
{
	struct bzip2 *bz = state;
	int r = bz->in_stream ? 0 : begin(bz, err);

	if (r < 0)
		return r;
	bz->stream.next_in = (char *)b->in;
	bz->stream.avail_in = (unsigned int)b->in_len;
	bz->stream.next_out = (char *)b->out;
	bz->stream.avail_out = (unsigned int)b->out_len;
	r = bz->decompress(&bz->stream);
	b->in += b->in_len - bz->stream.avail_in;
	b->in_len = bz->stream.avail_in;
	b->out += b->out_len - bz->stream.avail_out;
	b->out_len = bz->stream.avail_out;
	if (r != BZ_STREAM_END)
		return result(r, err);
	bz->end(&bz->stream);
	bz->in_stream = false;
	return 1;
}

static void free_bzip2(void *state)
{
	struct bzip2 *bz = state;

	if (bz->in_stream)
		bz->end(&bz->stream);
	free(bz);
}

const struct sfd_codec sfd_codec_bzip2 = { "bzip2", matches, open_bzip2, run, free_bzip2 };
