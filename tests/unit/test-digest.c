/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "tests/unit/check.h"
#include "transport/composefs/verity.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* How often OpenSSL has asked for memory; it gets none. */
static int asked;

static void *take(size_t n, const char *file, int line)
{
	(void)n, (void)file, (void)line;
	asked++;
	return NULL;
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)p;
	return take(n, file, line);
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

TEST(digests_of_openssl_take_no_memory)
{
	struct splitfd_sha256 *h = splitfd_sha256_new();
	char text[72];

	CHECK_INT(splitfd_sha256_text("abc", 3, text, NULL), 0);
	CHECK(strcmp(text, abc) == 0);
	CHECK(h != NULL);
	splitfd_sha256_update(h, "ab", 2);
	splitfd_sha256_update(h, "c", 1);
	CHECK_INT(splitfd_sha256_final_text(h, text, NULL), 0);
	CHECK(strcmp(text, abc) == 0);
	splitfd_sha256_free(h);
	CHECK_INT(asked, 0);
}

TEST(fs_verity_by_openssl_takes_no_memory)
{
	struct splitfd_digest digest;

	CHECK_INT(sfd_verity_bytes(SPLITFD_SHA512, abc, sizeof(abc), &digest), 0);
	CHECK_INT(sfd_verity_bytes(SPLITFD_SHA256, abc, sizeof(abc), &digest), 0);
	CHECK_INT(asked, 0);
}
