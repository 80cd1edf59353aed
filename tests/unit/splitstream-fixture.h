/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_SPLITSTREAM_FIXTURE_H
#define SPLITFD_TESTS_SPLITSTREAM_FIXTURE_H

/* Splitstreams in memory, for the tests of their writer and reader. */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/composefs/verity.h"
#include "tests/unit/check.h"

#include <sys/mman.h>
#include <unistd.h>

static struct splitfd_error err;

static inline struct sfd_splitstream_writer *new_writer(enum splitfd_algorithm algorithm)
{
	struct sfd_splitstream_writer *w = NULL;

	CHECK_OK(sfd_splitstream_writer_new(algorithm, SFD_STREAM_LAYER, -EBADF, &w, &err), &err);
	return w;
}

/* Finishes and frees the writer. */
static inline void finish(struct sfd_splitstream_writer *w, char **data, size_t *size)
{
	int r = sfd_splitstream_finish(w, data, size, &err);

	sfd_splitstream_writer_free(w);
	CHECK_OK(r, &err);
}

static inline struct splitfd_digest digest_of(
	enum splitfd_algorithm algorithm, const char *text, size_t n)
{
	struct splitfd_digest digest;

	CHECK_INT(sfd_verity_bytes(algorithm, text, n, &digest), 0);
	return digest;
}

/* A splitstream in memory as a reader. */
static inline int open_bytes(const char *data, size_t size, enum splitfd_algorithm algorithm,
	const char *type, struct sfd_splitstream **ret)
{
	int fd = memfd_create("splitstream", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(sfd_pwrite_all(fd, data, size, 0), 0);
	splitfd_error_clear(&err);
	*ret = NULL;
	return sfd_splitstream_open_fd(fd, algorithm, NULL, type, "test", ret, &err);
}

/* Reads it to its end; the sums of what came. */
struct sums {
	uint64_t inline_bytes, objects, last;
};

static inline int read_all(struct sfd_splitstream *s, struct sums *sums)
{
	struct sfd_splitstream_part part;
	int r;

	*sums = (struct sums){ 0 };
	while ((r = sfd_splitstream_next(s, &part, &err)) > 0) {
		sums->inline_bytes += part.len;
		if (part.len == 0) {
			sums->objects++;
			sums->last = part.object;
		}
	}
	return r;
}

static inline int open_and_read(const char *data, size_t size, enum splitfd_algorithm algorithm)
{
	struct sfd_splitstream *s;
	struct sums sums;
	int r = open_bytes(data, size, algorithm, NULL, &s);

	if (r == 0)
		r = read_all(s, &sums);
	sfd_splitstream_free(s);
	return r;
}

/* Tar A of the worked examples: header, 100 times D as an object, padding and end blocks. */
static inline void make_tar_a(enum splitfd_algorithm algorithm, char **data, size_t *size)
{
	struct sfd_splitstream_writer *w = new_writer(algorithm);
	char block[512] = "a", content[100], rest[1436] = { 0 };
	struct splitfd_digest digest;

	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	memcpy(block + 124, "00000000144", 12);
	memcpy(block + 136, "14524770400", 12);
	memcpy(block + 148, "006151\0 ", 8);
	block[156] = '0';
	memcpy(block + 257,
		"ustar\0"
		"00",
		8);
	memset(content, 'D', sizeof(content));
	digest = digest_of(algorithm, content, sizeof(content));
	CHECK_OK(sfd_splitstream_inline(w, block, sizeof(block), &err), &err);
	CHECK_OK(sfd_splitstream_object(w, &digest, sizeof(content), &err), &err);
	CHECK_OK(sfd_splitstream_inline(w, rest, 412, &err), &err);
	CHECK_OK(sfd_splitstream_inline(w, rest, 1024, &err), &err);
	finish(w, data, size);
}

#endif
