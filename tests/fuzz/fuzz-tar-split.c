/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer source on any tar-split. The first byte says whether the rest is the file itself (odd)
 * or its JSON, packed here into one stored gzip member so that the fuzzer reaches the JSON.
 */
#include "tests/unit/gzip-memfd.h"
#include "transport/containers-storage/layer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every chunk must be, whatever came in. */
static void check_chunk(const struct splitfd_chunk *chunk)
{
	if (chunk->kind == SPLITFD_CHUNK_INLINE) {
		assert(chunk->data != NULL && chunk->data_len > 0);
		assert(chunk->data_len <= SPLITFD_INLINE_MAX);
		return;
	}
	assert(chunk->size > 0 && chunk->name != NULL && chunk->has_crc64);
	assert(strlen(chunk->name) == chunk->name_len && chunk->name_len <= SPLITFD_NAME_MAX);
	assert(chunk->name[0] != '/' && chunk->name_len > 0);
	assert((chunk->fd < 0) == (chunk->files != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_layer_desc desc = {
		.layer_id = "fuzz",
		.diff_size = UINT64_MAX,
		.n_dirs = 1,
	};
	struct splitfd_error err = { 0 };
	struct splitfd_source *source = NULL;
	struct splitfd_chunk chunk = { .fd = -EBADF };

	if (size == 0)
		return 0;
	desc.tar_split_fd = data[0] % 2 == 1 ? memfd_new(data + 1, size - 1)
					     : gzip_memfd(data + 1, size - 1);
	desc.dirs[0] = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sfd_layer_source_new(&desc, &source, &err) < 0)
		return 0;
	while (splitfd_source_next(source, &chunk, &err) == 1) {
		check_chunk(&chunk);
		splitfd_chunk_clear(&chunk);
		chunk = (struct splitfd_chunk){ .fd = -EBADF };
	}
	splitfd_source_free(source);
	return 0;
}
