/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast each way to hash is on this CPU, in time of the one thread: GB/s of blocks of 4096 bytes
 * that are flushed in batches, of pieces of large files, and microseconds for each small file where
 * SFD_VERITY_FILES_MAX of them share a batch. The best of five. Says which way would be taken.
 */
#include "transport/composefs/verity.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define AMOUNT ((size_t)8 * 1024 * 1024)

struct bench {
	struct sfd_hasher *hasher;
	struct sfd_verity_scratch scratch;
	uint8_t out[128][SPLITFD_DIGEST_MAX];
	uint8_t data[SFD_VERITY_PIECE];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(int r)
{
	if (r < 0) {
		fprintf(stderr, "hash: cannot hash\n");
		exit(1);
	}
}

/* GB/s */
static double blocks(struct bench *b, size_t batch)
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now(), rate;
		size_t done = 0;

		for (; done < AMOUNT; done += batch * SFD_VERITY_BLOCK) {
			for (size_t i = 0; i < batch; i++)
				sfd_hasher_add(b->hasher, b->data + i * SFD_VERITY_BLOCK,
					SFD_VERITY_BLOCK, b->out[i]);
			check(sfd_hasher_flush(b->hasher));
		}
		rate = (double)done / 1e9 / (now() - start);
		best = rate > best ? rate : best;
	}
	return best;
}

/* GB/s */
static double pieces(struct bench *b)
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now(), rate;
		size_t done = 0;

		for (; done < AMOUNT; done += SFD_VERITY_PIECE)
			check(sfd_verity_piece(
				b->hasher, &b->scratch, b->data, SFD_VERITY_PIECE, b->out[0]));
		rate = (double)done / 1e9 / (now() - start);
		best = rate > best ? rate : best;
	}
	return best;
}

/* Microseconds for each file. */
static double files(struct bench *b, size_t size)
{
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		struct sfd_verity_file f[SFD_VERITY_FILES_MAX];
		double start = now(), each;
		int n = 0;

		for (; n < 1000; n += SFD_VERITY_FILES_MAX) {
			for (int i = 0; i < SFD_VERITY_FILES_MAX; i++)
				f[i] = (struct sfd_verity_file){ .data = b->data + i,
					.size = size };
			check(sfd_verity_files(b->hasher, &b->scratch, f, SFD_VERITY_FILES_MAX));
		}
		each = (now() - start) * 1e6 / n;
		best = each < best ? each : best;
	}
	return best;
}

static void row(struct bench *b, enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind)
{
	static const char *const names[] = { "", "openssl", "multi-buffer", "multi-buffer-sha" };
	static const size_t batches[] = { 1, 4, 8, 16, 128 };
	static const size_t sizes[] = { 100, 4096, 6000, 20000, 100000 };
	double start = now(), made;

	b->hasher = sfd_hasher_new(algorithm, kind);
	made = (now() - start) * 1e6;
	if (b->hasher == NULL)
		return;
	printf("  %s %-16s GB/s of blocks, by batch:",
		algorithm == SPLITFD_SHA512 ? "sha512" : "sha256", names[kind]);
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		printf(" %zu: %.2f", batches[i], blocks(b, batches[i]));
	printf("; of pieces: %.2f\n%25smicroseconds for each file:", pieces(b), "");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		printf(" %zu B: %.2f", sizes[i], files(b, sizes[i]));
	printf("; to make one: %.0f\n", made);
	b->hasher = sfd_hasher_free(b->hasher);
}

int main(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return 1;
	for (size_t i = 0; i < sizeof(b->data); i++)
		b->data[i] = (uint8_t)(i * 2654435761U >> 13);
	for (int algorithm = SPLITFD_SHA256; algorithm <= SPLITFD_SHA512; algorithm++) {
		static const char *const chosen[] = { "", "OpenSSL", "multi-buffer",
			"multi-buffer by SHA instructions" };
		double start = now();
		enum sfd_hasher_kind kind = sfd_hasher_choose((enum splitfd_algorithm)algorithm);

		printf("  %s: %s is taken, chosen in %.0f microseconds\n",
			algorithm == SPLITFD_SHA512 ? "sha512" : "sha256", chosen[kind],
			(now() - start) * 1e6);
		for (int k = SFD_HASHER_OPENSSL; k <= SFD_HASHER_MB_SHA; k++)
			row(b, (enum splitfd_algorithm)algorithm, (enum sfd_hasher_kind)k);
	}
	free(b);
	return 0;
}
