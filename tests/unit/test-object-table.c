/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "transport/composefs/crc64-combine.h"
#include "transport/composefs/object-table.h"

#include <malloc.h>
#include <stdlib.h>

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

TEST(keeps_what_is_added)
{
	struct sfd_object_table *table = sfd_object_table_new();
	struct splitfd_digest digest;

	for (uint32_t i = 0; i < 20000; i++) {
		make_digest(i, &digest);
		CHECK(!sfd_object_table_has(table, &digest));
		CHECK_INT(sfd_object_table_add(table, &digest), 0);
		CHECK_INT(sfd_object_table_add(table, &digest), 0);
	}
	for (uint32_t i = 0; i < 40000; i++) {
		make_digest(i, &digest);
		CHECK_INT(sfd_object_table_has(table, &digest), i < 20000);
	}
	/* One bit in what is kept is enough to differ. */
	make_digest(7, &digest);
	digest.bytes[31] ^= 1;
	CHECK(!sfd_object_table_has(table, &digest));
	sfd_object_table_free(table);
}

TEST(is_compact)
{
	struct sfd_object_table *table = sfd_object_table_new();
	struct splitfd_digest digest;
	size_t before = mallinfo2().uordblks, after;

	for (uint32_t i = 0; i < 200000; i++) {
		make_digest(i, &digest);
		CHECK_INT(sfd_object_table_add(table, &digest), 0);
	}
	after = mallinfo2().uordblks;
	CHECK(after < before + (size_t)200000 * 48);
	sfd_object_table_free(table);
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
