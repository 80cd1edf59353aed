/* SPDX-License-Identifier: Apache-2.0 */
/* The splitdirfdstream reader on any bytes, with the root directory and a slot that is none. */
#include "splitfdstream/splitdirfdstream-reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chunk(const struct splitfd_chunk *chunk, size_t size)
{
	if (chunk->kind == SPLITFD_CHUNK_INLINE) {
		assert(chunk->data_len > 0 && chunk->data_len <= size);
	} else if (chunk->fd < 0) {
		assert(chunk->files != NULL && chunk->name_len > 0);
		assert(strlen(chunk->name) == chunk->name_len && chunk->name[0] != '/');
	} else {
		assert(chunk->size <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds[2] = { open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC),
		open("/dev/null", O_RDONLY | O_CLOEXEC) };
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunk = { .fd = -EBADF };
	struct splitfd_input *input;
	struct splitfd_source *source;
	int r;

	if (splitfd_input_memory_new(data, size, fds, 2, &input, &err) < 0 ||
		splitfd_splitdirfdstream_reader_new(input, NULL, &source, &err) < 0)
		return 0;
	while ((r = splitfd_source_next(source, &chunk, &err)) > 0) {
		int fd = -EBADF;

		check_chunk(&chunk, size);
		if (chunk.kind == SPLITFD_CHUNK_FILE &&
			splitfd_chunk_open(&chunk, &fd, NULL, NULL) >= 0)
			chunk.fd = fd;
		splitfd_chunk_clear(&chunk);
	}
	assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	assert(splitfd_source_next(source, &chunk, NULL) == r);
	splitfd_source_free(source);
	return 0;
}
