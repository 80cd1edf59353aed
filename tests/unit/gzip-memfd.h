/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_GZIP_MEMFD_H
#define SPLITFD_TESTS_GZIP_MEMFD_H

/* Memory files with gzip members or plain bytes in them, for tests. */

#include <assert.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int memfd_new(const void *data, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	ssize_t put = n > 0 ? write(fd, data, n) : 0;

	assert(fd >= 0 && put == (ssize_t)n);
	(void)put;
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* One gzip member; *ret_n its length; the caller frees it. */
static inline uint8_t *gzip_member(const void *data, size_t n, size_t *ret_n)
{
	size_t room = n + n / 8 + 1024;
	uint8_t *out = malloc(room), *level = calloc(1, ISAL_DEF_LVL1_DEFAULT);
	struct isal_zstream stream;
	int r;

	/* The init leaves out fields that the result depends on. */
	memset(&stream, 0, sizeof(stream));
	isal_deflate_stateless_init(&stream);
	stream.gzip_flag = IGZIP_GZIP;
	stream.level = 1;
	stream.level_buf = level;
	stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	/* The library wants a pointer that may be written, and does not write. */
	memcpy(&stream.next_in, &data, sizeof(data));
	stream.avail_in = (uint32_t)n;
	stream.next_out = out;
	stream.avail_out = (uint32_t)room;
	stream.end_of_stream = 1;
	r = isal_deflate_stateless(&stream);
	assert(r == COMP_OK);
	(void)r;
	*ret_n = stream.total_out;
	free(level);
	return out;
}

static inline int gzip_memfd(const void *data, size_t n)
{
	size_t packed_n;
	uint8_t *packed = gzip_member(data, n, &packed_n);
	int fd = memfd_new(packed, packed_n);

	free(packed);
	return fd;
}

#endif
