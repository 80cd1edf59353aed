/* SPDX-License-Identifier: Apache-2.0 */
/* The tar splitter on any bytes: it refuses them, or gives them back one for one. */
#include "splitfdstream/digest.h"
#include "splitfdstream/reconstruct.h"
#include "transport/tar/tar-source.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a source of pieces; the first byte chooses their size. */
struct pieces {
	struct splitfd_source base;
	const uint8_t *data;
	size_t left, piece;
};

static int pieces_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct pieces *p = (struct pieces *)source;
	size_t n = p->left < p->piece ? p->left : p->piece;

	(void)err;
	if (n == 0)
		return 0;
	*ret = (struct splitfd_chunk){ .data = p->data, .data_len = n, .fd = -EBADF };
	p->data += n;
	p->left -= n;
	return 1;
}

static void pieces_free(struct splitfd_source *source)
{
	(void)source;
}

struct sum {
	uint64_t crc, n;
};

static int add(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	struct sum *s = ctx;

	(void)err;
	s->crc = splitfd_crc64(s->crc, data, n);
	s->n += n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct splitfd_source_ops ops = { .next = pieces_next, .free = pieces_free };
	struct splitfd_error err = { 0 };
	struct splitfd_source *source;
	struct splitfd_sink *sink;
	struct sum sum = { 0 };
	struct pieces pieces;
	int r;

	if (size == 0)
		return 0;
	pieces = (struct pieces){ { &ops }, data + 1, size - 1, (size_t)data[0] + 1 };
	if (sfd_tar_source_new(&pieces.base, NULL, &source, &err) < 0 ||
		splitfd_reconstruct_sink_new(add, &sum, &sink, &err) < 0)
		return 0;
	r = splitfd_pump(source, sink, NULL, &err);
	assert(r < 0 || (sum.n == size - 1 && sum.crc == splitfd_crc64(0, data + 1, size - 1)));
	assert(r >= 0 || err.text[0] != '\0');
	splitfd_source_free(source);
	splitfd_sink_free(sink);
	return 0;
}
