/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile stream as the tree of an image, and the tree as a dump and as EROFS. The input: pieces,
 * each with a length (two bytes; the first bit set: an object of that size) and, inline, its bytes.
 * Checksums of header blocks are set right, so that what is behind them is reached.
 */
#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/error.h"
#include "transport/composefs/tree/dumpfile.h"
#include "transport/composefs/erofs/erofs-writer.h"
#include "transport/composefs/tree/tree-layer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOCK 512

/* Where a block looks like a header, its checksum is made right. */
static void fix_sum(uint8_t *block)
{
	unsigned int sum = 0;
	char text[8];

	if (memcmp(block + 257, "ustar", 5) != 0)
		return;
	memset(block + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += block[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + 148, text, 7);
}

static void tell_piece(const struct sfd_stream_listener *l, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		return;
	memcpy(copy, data, len);
	for (size_t at = 0; at + BLOCK <= len; at += BLOCK)
		fix_sum(copy + at);
	l->inline_data(l->ctx, copy, len, NULL);
	free(copy);
}

static void tell(const struct sfd_stream_listener *l, const uint8_t *data, size_t size)
{
	struct splitfd_digest digest = { .size = 32 };

	while (size >= 2) {
		size_t n = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		if ((n & 0x8000) != 0) {
			digest.bytes[0]++;
			l->object(l->ctx, &digest, n == 0xffff ? UINT64_MAX : n & 0x7fff, NULL);
			continue;
		}
		n = n < size ? n : size;
		tell_piece(l, data, n);
		data += n;
		size -= n;
	}
}

static int count(void *ctx, const uint8_t *data, size_t len, struct splitfd_error *err)
{
	(void)data;
	(void)err;
	*(uint64_t *)ctx += len;
	return 0;
}

static void write_all(struct sfd_tree *tree)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	sfd_dump_write(tree, out, NULL);
	fclose(out);
	free(text);
	for (int format = 0; format < 3; format++) {
		uint64_t told = 0, bytes = 0;

		if (sfd_erofs_write(tree, format, &told, count, &bytes, NULL) == 0 &&
			(bytes != told || bytes % 4096 != 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_tree_layer *layer = NULL;
	struct sfd_tree *tree = NULL;
	struct splitfd_error err = { 0 };

	if (sfd_tree_layer_new(SPLITFD_SHA256, "fuzz", SFD_TREE_XATTRS_ALL, &layer, &err) == 0 &&
		sfd_tree_new(SPLITFD_SHA256, &tree, &err) == 0) {
		tell(sfd_tree_layer_listener(layer), data, size);
		if (sfd_tree_layer_finish(layer, &err) == 0 &&
			sfd_tree_apply(tree, layer, &err) == 0 &&
			sfd_tree_apply(tree, layer, &err) == 0 &&
			sfd_tree_finish_oci(tree, SFD_TREE_XATTRS_ALL, &err) == 0)
			write_all(tree);
	}
	sfd_tree_layer_free(layer);
	sfd_tree_free(tree);
	return 0;
}
