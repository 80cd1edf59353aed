/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "transport/composefs/import/crc64-combine.h"
#include "transport/composefs/stream/number-set.h"
#include "transport/composefs/object-table.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Digests are spread evenly, as those of a real hash are (splitmix64). */
static void make_digest(uint32_t i, struct splitfd_digest *ret)
{
	ret->size = 64;
	for (uint64_t k = 0; k < 8; k++) {
		uint64_t z = ((uint64_t)i * 8 + k + 1) * 0x9e3779b97f4a7c15ULL;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
		z ^= z >> 31;
		memcpy(ret->bytes + 8 * k, &z, 8);
	}
}

/* Digests by number, in any order. */
static void check_numbers(struct sfd_object_table *table)
{
	const uint32_t numbers[3] = { 19999, 0, 1024 };
	uint8_t raw[3][64];
	struct splitfd_digest digest;

	sfd_object_table_get(table, numbers, 3, raw[0]);
	for (size_t i = 0; i < 3; i++) {
		make_digest(numbers[i], &digest);
		CHECK(memcmp(raw[i], digest.bytes, 64) == 0);
	}
}

TEST(keeps_what_is_added)
{
	struct sfd_object_table *table = sfd_object_table_new(SPLITFD_SHA512);
	struct splitfd_digest digest;

	for (uint32_t i = 0; i < 20000; i++) {
		make_digest(i, &digest);
		CHECK(!sfd_object_table_has(table, &digest));
		CHECK_INT(sfd_object_table_add(table, &digest), i);
		CHECK_INT(sfd_object_table_add(table, &digest), i);
	}
	for (uint32_t i = 0; i < 40000; i++) {
		make_digest(i, &digest);
		CHECK_INT(sfd_object_table_has(table, &digest), i < 20000);
	}
	/* One bit is enough to differ, and another length is another algorithm's. */
	make_digest(7, &digest);
	digest.bytes[63] ^= 1;
	CHECK(!sfd_object_table_has(table, &digest));
	digest.size = 32;
	CHECK(!sfd_object_table_has(table, &digest));
	CHECK_INT(sfd_object_table_add(table, &digest), -EINVAL);
	check_numbers(table);
	sfd_object_table_free(table);
}

TEST(is_compact)
{
	struct sfd_object_table *table = sfd_object_table_new(SPLITFD_SHA512);
	struct splitfd_digest digest;
	size_t before = mallinfo2().uordblks, after;

	for (uint32_t i = 0; i < 200000; i++) {
		make_digest(i, &digest);
		CHECK_INT(sfd_object_table_add(table, &digest), i);
	}
	after = mallinfo2().uordblks;
	CHECK(after < before + (size_t)200000 * (64 + 12));
	sfd_object_table_free(table);
}

/* The numbers of a layer's objects: runs of new ones, and some of other layers. */
TEST(numbers_keep_their_order)
{
	struct sfd_number_set set = { 0 };
	size_t before = mallinfo2().uordblks;

	for (uint32_t i = 0; i < 100000; i++) {
		CHECK_INT(sfd_number_set_add(&set, 1048576 + i), 2 * i);
		CHECK_INT(sfd_number_set_add(&set, i), 2 * i + 1);
		CHECK_INT(sfd_number_set_add(&set, 1048576 + i / 2), 2 * (i / 2));
	}
	CHECK_INT(set.n, 200000);
	CHECK(mallinfo2().uordblks < before + (size_t)200000 * 16);
	CHECK_INT(set.numbers[0], 1048576);
	CHECK_INT(set.numbers[199999], 99999);
	sfd_number_set_done(&set);
	CHECK_INT(set.n, 0);
	CHECK_INT(sfd_number_set_add(&set, UINT32_MAX), 0);
	sfd_number_set_done(&set);
}

TEST(crc64_of_pieces)
{
	uint8_t data[5000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (size_t at = 0; at <= sizeof(data); at += 500) {
		uint64_t a = splitfd_crc64(0, data, at);
		uint64_t b = splitfd_crc64(0, data + at, sizeof(data) - at);

		CHECK(sfd_crc64_combine(a, b, sizeof(data) - at) ==
			splitfd_crc64(0, data, sizeof(data)));
	}
}
