/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/text.h"
#include "tests/unit/check.h"
#include "transport/composefs/verity.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define BLOCK 4096

/* The definition written down plainly, one level after the other: the oracle. */
static void plain_digest(
	enum splitfd_algorithm algorithm, const uint8_t *data, size_t n, uint8_t *ret)
{
	const EVP_MD *md = algorithm == SPLITFD_SHA512 ? EVP_sha512() : EVP_sha256();
	size_t h = algorithm == SPLITFD_SHA512 ? 64 : 32;
	size_t blocks = (n + BLOCK - 1) / BLOCK, len = blocks * BLOCK;
	uint8_t *level = calloc(1, len + BLOCK), descriptor[256] = { 1, (uint8_t)algorithm, 12 };

	memcpy(level, data, n);
	while (blocks > 0) {
		for (size_t i = 0; i < blocks; i++)
			EVP_Digest(level + i * BLOCK, BLOCK, level + i * h, NULL, md, NULL);
		if (blocks == 1)
			break;
		memset(level + blocks * h, 0, len - blocks * h);
		blocks = (blocks * h + BLOCK - 1) / BLOCK;
	}
	for (int i = 0; i < 8; i++)
		descriptor[8 + i] = (uint8_t)((uint64_t)n >> (8 * i));
	if (n > 0)
		memcpy(descriptor + 16, level, h);
	EVP_Digest(descriptor, sizeof(descriptor), ret, NULL, md, NULL);
	free(level);
}

static uint8_t *random_bytes(size_t n)
{
	uint8_t *data = malloc(n + 1);
	uint32_t x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
	return data;
}

static const size_t sizes[] = { 0, 1, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193, 64 * 4096 - 1,
	64 * 4096, 64 * 4096 + 1, 65 * 4096, 65 * 4096 + 1, 128 * 4096 - 1, 128 * 4096,
	128 * 4096 + 1, 129 * 4096, 192 * 4096, 192 * 4096 + 1, 256 * 4096 + 17, 64 * 64 * 4096 - 1,
	64 * 64 * 4096, 64 * 64 * 4096 + 1, 65 * 64 * 4096 + 5 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define LARGEST ((size_t)65 * 64 * 4096 + 5)

TEST(known_vectors)
{
	static const struct {
		size_t size;
		const char *sha256, *sha512;
	} vectors[] = {
		{ 0, "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
			"ccf9e5aea1c2a64efa2f2354a6024b90" },
		{ 4096, "babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e",
			"928922686c4caf32175f5236a7f964e9" },
		{ 4097, "093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743",
			"4339f5da3788e60fa6857bd7040fadcc" },
		{ 524288, "2d15bd7832895de85aa3d5bdfb57251e27bbec75ff467408340ab3eba858a2e1",
			"80e3a9dbfb94da75ef90a5c477aa857d" },
		{ 524289, "e4143a5705610b7ad2eb85482cfc033c7062a89b9faf9118603f592d53fd10e0",
			"7d26d3e731675b1ecf081c10277a5fd4" },
	};
	uint8_t *zeros = calloc(1, 524289);
	struct splitfd_digest digest;
	char hex[129];

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		CHECK_INT(sfd_verity_bytes(SPLITFD_SHA256, zeros, vectors[i].size, &digest), 0);
		sfd_hex_encode(digest.bytes, digest.size, hex);
		CHECK_STR(hex, vectors[i].sha256);
		CHECK_INT(sfd_verity_bytes(SPLITFD_SHA512, zeros, vectors[i].size, &digest), 0);
		CHECK_INT(digest.size, 64);
		sfd_hex_encode(digest.bytes, 16, hex);
		CHECK_STR(hex, vectors[i].sha512);
	}
	CHECK_INT(sfd_verity_bytes(SPLITFD_SHA256, "hello world", 11, &digest), 0);
	sfd_hex_encode(digest.bytes, 32, hex);
	CHECK_STR(hex, "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64");
	free(zeros);
}

static void check_streamed(enum splitfd_algorithm algorithm, const uint8_t *data, size_t step)
{
	struct sfd_verity *v = sfd_verity_new(algorithm);
	struct splitfd_digest digest;
	uint8_t expected[64];

	CHECK(v != NULL);
	for (size_t i = 0; i < N_SIZES; i++) {
		plain_digest(algorithm, data, sizes[i], expected);
		sfd_verity_begin(v);
		for (size_t at = 0; at < sizes[i]; at += step)
			CHECK_INT(sfd_verity_update(v, data + at,
					  sizes[i] - at < step ? sizes[i] - at : step),
				0);
		CHECK_INT(sfd_verity_final(v, &digest), 0);
		CHECK(memcmp(digest.bytes, expected, digest.size) == 0);
	}
	sfd_verity_free(v);
}

TEST(streamed_in_pieces_of_any_length)
{
	uint8_t *data = random_bytes(LARGEST);

	check_streamed(SPLITFD_SHA256, data, 100003);
	check_streamed(SPLITFD_SHA512, data, 100003);
	check_streamed(SPLITFD_SHA256, data, SFD_VERITY_PIECE);
	check_streamed(SPLITFD_SHA512, data, 3 * SFD_VERITY_PIECE + 1);
	free(data);
}

/* Hashes the sizes up to SFD_VERITY_SMALL_MAX in batches. */
static void check_batch(enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind)
{
	uint8_t *data = random_bytes(LARGEST), expected[64];
	struct sfd_verity_scratch *scratch = malloc(sizeof(*scratch));
	struct sfd_hasher *hasher = sfd_hasher_new(algorithm, kind);
	struct sfd_verity_file files[SFD_VERITY_FILES_MAX];
	size_t n = 0;

	CHECK(hasher != NULL);
	memset(scratch, 0xa5, sizeof(*scratch));
	for (size_t i = 0; i < N_SIZES && n < SFD_VERITY_FILES_MAX; i++) {
		if (sizes[i] <= SFD_VERITY_SMALL_MAX)
			files[n++] = (struct sfd_verity_file){ data + i, sizes[i], { { 0 }, 0 } };
	}
	CHECK(n >= 10);
	for (int round = 0; round < 2; round++) {
		CHECK_INT(sfd_verity_files(hasher, scratch, files, n), 0);
		for (size_t i = 0; i < n; i++) {
			plain_digest(algorithm, files[i].data, files[i].size, expected);
			CHECK(memcmp(files[i].digest.bytes, expected, files[i].digest.size) == 0);
		}
	}
	sfd_hasher_free(hasher);
	free(scratch);
	free(data);
}

TEST(several_files_at_once_by_openssl)
{
	check_batch(SPLITFD_SHA256, SFD_HASHER_OPENSSL);
	check_batch(SPLITFD_SHA512, SFD_HASHER_OPENSSL);
}

TEST(several_files_at_once_by_multi_buffer)
{
	struct sfd_hasher *hasher = sfd_hasher_new(SPLITFD_SHA512, SFD_HASHER_MB);

	if (hasher == NULL) {
		printf("# no multi-buffer hashing on this machine\n");
		check_batch(SPLITFD_SHA512, SFD_HASHER_BEST);
		return;
	}
	CHECK(sfd_hasher_is_mb(hasher));
	sfd_hasher_free(hasher);
	check_batch(SPLITFD_SHA256, SFD_HASHER_MB);
	check_batch(SPLITFD_SHA512, SFD_HASHER_MB);
	hasher = sfd_hasher_new(SPLITFD_SHA256, SFD_HASHER_MB_SHA);
	if (hasher != NULL)
		check_batch(SPLITFD_SHA256, SFD_HASHER_MB_SHA);
	sfd_hasher_free(hasher);
	CHECK(sfd_hasher_new(SPLITFD_SHA512, SFD_HASHER_MB_SHA) == NULL);
}

/* Large files, piece by piece, as several threads share them. */
TEST(pieces_and_tree)
{
	uint8_t *data = random_bytes(LARGEST), expected[64], hashes[128];
	struct sfd_verity_scratch *scratch = malloc(sizeof(*scratch));
	struct sfd_verity_tree *tree = malloc(sizeof(*tree));
	struct splitfd_digest digest;

	for (int algorithm = SPLITFD_SHA256; algorithm <= SPLITFD_SHA512; algorithm++) {
		size_t h = algorithm == SPLITFD_SHA512 ? 64 : 32;
		struct sfd_hasher *hasher =
			sfd_hasher_new((enum splitfd_algorithm)algorithm, SFD_HASHER_BEST);

		for (size_t i = 0; i < N_SIZES; i++) {
			if (sizes[i] <= SFD_VERITY_SMALL_MAX)
				continue;
			sfd_verity_tree_begin(tree);
			for (size_t at = 0; at < sizes[i]; at += SFD_VERITY_PIECE) {
				size_t rest = sizes[i] - at;
				int n = sfd_verity_piece(hasher, scratch, data + at,
					rest < SFD_VERITY_PIECE ? rest : SFD_VERITY_PIECE, hashes);

				CHECK(n >= 1 && n <= 2);
				for (int k = 0; k < n; k++)
					CHECK_INT(sfd_verity_tree_add(
							  tree, hasher, hashes + (size_t)k * h),
						0);
			}
			CHECK_INT(sfd_verity_tree_final(tree, hasher, sizes[i], &digest), 0);
			plain_digest((enum splitfd_algorithm)algorithm, data, sizes[i], expected);
			CHECK(memcmp(digest.bytes, expected, h) == 0);
		}
		sfd_hasher_free(hasher);
	}
	free(tree);
	free(scratch);
	free(data);
}
