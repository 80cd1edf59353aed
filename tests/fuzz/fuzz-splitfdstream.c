/* SPDX-License-Identifier: Apache-2.0 */
/* The splitfdstream reader on any bytes, with two descriptors at hand. */
#include "splitfdstream/splitfdstream-reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds[2] = { memfd_create("fuzz", MFD_CLOEXEC), open("/dev/null", O_RDONLY | O_CLOEXEC) };
	struct splitfd_error err = { 0 };
	struct splitfd_chunk chunk = { .fd = -EBADF };
	struct splitfd_input *input;
	struct splitfd_source *source;
	uint64_t total = 0;
	int r;

	if (splitfd_input_memory_new(data, size, fds, 2, &input, &err) < 0 ||
		splitfd_splitfdstream_reader_new(input, &source, &err) < 0)
		return 0;
	while ((r = splitfd_source_next(source, &chunk, &err)) > 0) {
		if (chunk.kind == SPLITFD_CHUNK_INLINE) {
			assert(chunk.data_len > 0 && chunk.data_len <= size);
			total += chunk.data_len;
		} else {
			assert(chunk.fd >= 0 && chunk.size == 0);
		}
		splitfd_chunk_clear(&chunk);
	}
	assert(total <= size);
	assert(r == 0 || (err.errnum == -r && err.text[0] != '\0'));
	assert(splitfd_source_next(source, &chunk, NULL) == r);
	splitfd_source_free(source);
	return 0;
}
