/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The splitstream reader on any file. The first byte chooses the algorithm. What it gives must hang
 * together: pieces of at least a byte, objects that exist in the table, the same twice.
 */
#include "splitfdstream/base/io.h"
#include "transport/composefs/stream/splitstream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A small file can stand for very many bytes; that much is enough here. */
#define ENOUGH 100000

struct sums {
	uint64_t bytes, objects;
};

static int read_parts(struct sfd_splitstream *s, struct sums *sums)
{
	struct sfd_splitstream_part part;
	struct splitfd_error err = { 0 };
	int r = 0;

	for (int i = 0; i < ENOUGH; i++) {
		struct splitfd_digest digest;

		r = sfd_splitstream_next(s, &part, &err);
		if (r <= 0)
			break;
		sums->bytes += part.len;
		if (part.len > 0)
			continue;
		sums->objects++;
		assert(sfd_splitstream_object_ref(s, part.object, &digest, &err) == 0);
	}
	if (r < 0) {
		assert(err.text[0] != '\0');
		assert(sfd_splitstream_next(s, &part, &err) == r);
	}
	return r;
}

static void read_twice(struct sfd_splitstream *s)
{
	struct sums one = { 0 }, two = { 0 };
	int r = read_parts(s, &one);

	sfd_splitstream_rewind(s);
	assert(read_parts(s, &two) == r);
	assert(memcmp(&one, &two, sizeof(one)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_splitstream *s = NULL;
	struct splitfd_error err = { 0 };
	const struct sfd_splitstream_ref *refs;
	size_t n;
	int fd;

	if (size == 0)
		return 0;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	assert(fd >= 0 && sfd_pwrite_all(fd, data + 1, size - 1, 0) == 0);
	if (sfd_splitstream_open_fd(fd, data[0] % 2 == 0 ? SPLITFD_SHA256 : SPLITFD_SHA512, NULL,
		    NULL, "fuzz", &s, &err) < 0) {
		assert(s == NULL && err.text[0] != '\0');
		return 0;
	}
	refs = sfd_splitstream_refs(s, &n);
	for (size_t i = 0; i < n; i++) {
		struct splitfd_digest digest;

		assert(sfd_splitstream_find_ref(s, refs[i].name, &digest));
	}
	read_twice(s);
	sfd_splitstream_free(s);
	return 0;
}
