/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "tests/unit/gzip-memfd.h"
#include "transport/containers-storage/tar-split/sparse.h"

#include <errno.h>

static struct splitfd_error err;
static uint8_t headers[16384];

static void header(uint8_t *block, char type, size_t size)
{
	unsigned int sum = 0;

	memset(block, 0, 512);
	memcpy(block, "name", 4);
	memcpy(block + 100, "0000644", 7);
	snprintf((char *)block + 124, 12, "%011zo", size);
	memset(block + 148, ' ', 8);
	block[156] = (uint8_t)type;
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	block[155] = ' ';
}

/* A pax header with "KEY=VALUE" records, then a regular file's header, behind `padding` bytes. */
static size_t pax(size_t padding, const char *const *records)
{
	char data[8192];
	size_t n = 0, padded;

	for (; *records != NULL; records++) {
		size_t len = strlen(*records) + 3;

		len += len + 1 >= 100 ? 2 : len + 1 >= 10 ? 1 : 0;
		len += len >= 100 && strlen(*records) + 4 < 100 ? 1 : 0;
		n += (size_t)sprintf(data + n, "%zu %s\n", len, *records);
	}
	padded = (n + 511) / 512 * 512;
	memset(headers, 'p', padding);
	memset(headers + padding, 0, 1024 + padded);
	header(headers + padding, 'x', n);
	memcpy(headers + padding + 512, data, n);
	header(headers + padding + 512 + padded, '0', 10);
	return padding + 1024 + padded;
}

static int read_pax(struct sfd_member *m, size_t padding, const char *const *records)
{
	size_t n = pax(padding, records);

	return sfd_member_read(m, headers, n, padding, &err);
}

#define RECORDS(...)                                                                               \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

TEST(maps)
{
	struct sfd_member m = { 0 };

	CHECK_OK(read_pax(&m, 77, RECORDS("GNU.sparse.map=0,5,10,6,90,0")), &err);
	CHECK_INT(m.form, SFD_SPARSE_MAP);
	CHECK_INT(m.type, '0');
	CHECK_INT(m.n_ranges, 3);
	CHECK_INT(m.ranges[1].offset, 10);
	CHECK_INT(m.ranges[1].size, 6);
	CHECK_INT(m.stored, 11);
	CHECK_OK(read_pax(&m, 0,
			 RECORDS("GNU.sparse.offset=1", "GNU.sparse.numbytes=2",
				 "GNU.sparse.offset=3", "GNU.sparse.numbytes=4")),
		&err);
	CHECK_INT(m.form, SFD_SPARSE_MAP);
	CHECK_INT(m.n_ranges, 2);
	CHECK_INT(m.stored, 6);
	CHECK_OK(read_pax(&m, 0, RECORDS("GNU.sparse.major=1", "GNU.sparse.minor=0")), &err);
	CHECK_INT(m.form, SFD_SPARSE_1_0);
	CHECK_OK(read_pax(&m, 0,
			 RECORDS("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.map=")),
		&err);
	CHECK_INT(m.form, SFD_SPARSE_MAP);
	CHECK_INT(m.stored, 0);
	CHECK_OK(read_pax(&m, 0, RECORDS("GNU.sparse.major=7", "GNU.sparse.map=0,1")), &err);
	CHECK_INT(m.form, SFD_SPARSE_NONE);
	CHECK_OK(read_pax(&m, 0, RECORDS("path=GNU.sparse.map=0,1")), &err);
	CHECK_INT(m.form, SFD_SPARSE_NONE);
	CHECK_INT(m.n_ranges, 0);
	sfd_member_done(&m);
}

TEST(maps_that_make_no_sense)
{
	static const char *const maps[] = { "0", "0,5,3,1", "0,5,4,1", "a,b", "0,-1", ",", "0,5,",
		"9223372036854775807,1", "0,18446744073709551615", "99999999999999999999,0" };
	struct sfd_member m = { 0 };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		char record[100];

		snprintf(record, sizeof(record), "GNU.sparse.map=%s", maps[i]);
		printf("# %s\n", record);
		CHECK_INT(read_pax(&m, 0, RECORDS(record)), -EINVAL);
	}
	CHECK_INT(read_pax(&m, 0, RECORDS("GNU.sparse.numbytes=2")), -EINVAL);
	sfd_member_done(&m);
}

TEST(headers_cut_at_every_byte)
{
	struct sfd_member m = { 0 };
	size_t n = pax(3, RECORDS("GNU.sparse.map=0,5,10,6"));

	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = malloc(i + 1);

		memcpy(copy, headers, i);
		CHECK_OK(sfd_member_read(&m, copy, i, 3, &err), &err);
		CHECK_INT(m.type, 0);
		free(copy);
	}
	sfd_member_done(&m);
}

TEST(ranges_are_packed)
{
	enum { SIZE = 200000 };
	uint8_t *file = malloc(SIZE), *expected = malloc(SIZE), *got = malloc(SIZE);

	srandom(1);
	for (int round = 0; round < 200; round++) {
		struct sfd_sparse_range ranges[20];
		struct sfd_member m = { .form = SFD_SPARSE_MAP, .ranges = ranges };
		struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_FILE, .size = SIZE };
		uint64_t end = 0;

		for (size_t i = 0; i < SIZE; i++)
			file[i] = (uint8_t)random();
		while (m.n_ranges < 20) {
			struct sfd_sparse_range *range = &ranges[m.n_ranges];

			range->offset = end + (random() % 3 == 0 ? 0 : (uint64_t)random() % 40000);
			range->size = random() % 4 == 0 ? 0 : (uint64_t)random() % 70000;
			end = range->offset + range->size;
			if (end > SIZE)
				break;
			memcpy(expected + m.stored, file + range->offset, range->size);
			m.stored += range->size;
			m.n_ranges++;
		}
		chunk.fd = memfd_new(file, SIZE);
		chunk.name = "f";
		chunk.has_crc64 = true;
		chunk.crc64 = splitfd_crc64(0, file, SIZE);
		CHECK_OK(sfd_sparse_pack(&m, -EBADF, &chunk, &err), &err);
		CHECK_INT(chunk.size, m.stored);
		if (m.stored > 0) {
			CHECK_INT(sfd_pread_full(chunk.fd, got, m.stored, 0), 0);
			CHECK(memcmp(got, expected, m.stored) == 0);
			CHECK(chunk.crc64 == splitfd_crc64(0, got, m.stored));
		} else {
			CHECK_INT(chunk.fd, -EBADF);
		}
		sfd_close(chunk.fd);
	}
	free(file);
	free(expected);
	free(got);
}

TEST(files_that_are_not_the_layers)
{
	struct sfd_sparse_range ranges[1] = { { 1, 2 } };
	struct sfd_member m = {
		.form = SFD_SPARSE_MAP, .ranges = ranges, .n_ranges = 1, .stored = 2
	};
	struct splitfd_chunk chunk = { .kind = SPLITFD_CHUNK_FILE, .size = 4, .name = "f" };

	chunk.has_crc64 = true;
	chunk.crc64 = 1;
	chunk.fd = memfd_new("abcd", 4);
	CHECK_INT(sfd_sparse_pack(&m, -EBADF, &chunk, &err), -EBADMSG);
	ranges[0].size = 4;
	chunk.fd = memfd_new("abcd", 4);
	CHECK_INT(sfd_sparse_pack(&m, -EBADF, &chunk, &err), -EINVAL);
	sfd_close(chunk.fd);
}
