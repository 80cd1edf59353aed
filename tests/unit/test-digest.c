/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "transport/composefs/verity.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* Allocations of OpenSSL until the one that fails; below 0: none does. */
static long left = -1;

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

static void *take(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fails() ? NULL : malloc(n);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fails() ? NULL : realloc(p, n);
}

static void give(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

__attribute__((constructor)) static void set_functions(void)
{
	if (CRYPTO_set_mem_functions(take, resize, give) != 1)
		abort();
}

static const char abc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(memory_that_fails_gives_no_digest)
{
	struct splitfd_error err = { 0 };
	char text[72];
	int n_failed = 0, r;

	CHECK_INT(splitfd_sha256_text("abc", 3, text, NULL), 0);
	CHECK(strcmp(text, abc) == 0);
	for (long n = 0;; n++) {
		memset(text, '?', sizeof(text));
		left = n;
		r = splitfd_sha256_text("abc", 3, text, &err);
		if (left >= 0)
			break; /* fewer than n */
		if (r < 0) {
			CHECK_INT(r, -ENOMEM);
			CHECK_INT(err.errnum, ENOMEM);
			CHECK(text[0] == '\0');
			n_failed++;
		} else {
			CHECK(strcmp(text, abc) == 0);
		}
	}
	left = -1;
	CHECK_INT(r, 0);
	CHECK(n_failed > 0);
	CHECK(strcmp(text, abc) == 0);
}

TEST(a_stream_reports_a_failure_at_its_end)
{
	for (long n = 0;; n++) {
		struct splitfd_sha256 *h;
		char text[72] = "?";
		int r = -ENOMEM;

		left = n;
		h = splitfd_sha256_new();
		if (h != NULL) {
			splitfd_sha256_update(h, "ab", 2);
			splitfd_sha256_update(h, "c", 1);
			r = splitfd_sha256_final_text(h, text, NULL);
		}
		splitfd_sha256_free(h);
		CHECK(r == 0 ? strcmp(text, abc) == 0 : r == -ENOMEM);
		if (left >= 0)
			break;
	}
	left = -1;
}

TEST(fs_verity_fails_for_want_of_memory)
{
	struct splitfd_digest want, digest;

	CHECK_INT(sfd_verity_bytes(SPLITFD_SHA512, abc, sizeof(abc), &want), 0);
	for (long n = 0;; n++) {
		int r;

		left = n;
		r = sfd_verity_bytes(SPLITFD_SHA512, abc, sizeof(abc), &digest);
		if (r == 0)
			CHECK(memcmp(digest.bytes, want.bytes, want.size) == 0);
		else
			CHECK_INT(r, -ENOMEM);
		if (left >= 0)
			break;
	}
	left = -1;
}
