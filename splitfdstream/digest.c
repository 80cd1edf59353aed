/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "splitfdstream/base/text.h"

#include <assert.h>
#include <isa-l/crc64.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct splitfd_sha256 {
	EVP_MD_CTX *ctx;
};

struct splitfd_sha256 *splitfd_sha256_new(void)
{
	struct splitfd_sha256 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
		return splitfd_sha256_free(h);
	return h;
}

void splitfd_sha256_update(struct splitfd_sha256 *h, const void *data, size_t n)
{
	int ok = EVP_DigestUpdate(h->ctx, data, n);

	assert(ok == 1);
	(void)ok;
}

void splitfd_sha256_final(struct splitfd_sha256 *h, uint8_t digest[32])
{
	int ok = EVP_DigestFinal_ex(h->ctx, digest, NULL);

	assert(ok == 1);
	(void)ok;
}

static void to_text(const uint8_t digest[32], char text[72])
{
	memcpy(text, "sha256:", 7);
	sfd_hex_encode(digest, 32, text + 7);
}

void splitfd_sha256_final_text(struct splitfd_sha256 *h, char text[72])
{
	uint8_t digest[32];

	splitfd_sha256_final(h, digest);
	to_text(digest, text);
}

struct splitfd_sha256 *splitfd_sha256_free(struct splitfd_sha256 *h)
{
	if (h != NULL) {
		EVP_MD_CTX_free(h->ctx);
		free(h);
	}
	return NULL;
}

void splitfd_sha256_text(const void *data, size_t n, char text[72])
{
	uint8_t digest[32];

	SHA256(data, n, digest);
	to_text(digest, text);
}

uint64_t splitfd_crc64(uint64_t crc, const void *data, size_t n)
{
	return crc64_iso_refl(crc, data, n);
}
