/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "splitfdstream/base/text.h"

#include <isa-l/crc64.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct splitfd_sha256 {
	EVP_MD_CTX *ctx;
	bool failed;
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
	if (!h->failed && EVP_DigestUpdate(h->ctx, data, n) != 1)
		h->failed = true;
}

int splitfd_sha256_final(struct splitfd_sha256 *h, uint8_t digest[32], struct splitfd_error *err)
{
	if (!h->failed && EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1)
		return 0;
	h->failed = true;
	memset(digest, 0, 32);
	return splitfd_error_oom(err);
}

int splitfd_sha256_final_text(struct splitfd_sha256 *h, char text[72], struct splitfd_error *err)
{
	uint8_t digest[32];
	int r = splitfd_sha256_final(h, digest, err);

	text[0] = '\0';
	if (r < 0)
		return r;
	memcpy(text, "sha256:", 7);
	sfd_hex_encode(digest, 32, text + 7);
	return 0;
}

struct splitfd_sha256 *splitfd_sha256_free(struct splitfd_sha256 *h)
{
	if (h != NULL) {
		EVP_MD_CTX_free(h->ctx);
		free(h);
	}
	return NULL;
}

int splitfd_sha256_text(const void *data, size_t n, char text[72], struct splitfd_error *err)
{
	struct splitfd_sha256 *h = splitfd_sha256_new();
	int r;

	text[0] = '\0';
	if (h == NULL)
		return splitfd_error_oom(err);
	splitfd_sha256_update(h, data, n);
	r = splitfd_sha256_final_text(h, text, err);
	splitfd_sha256_free(h);
	return r;
}

uint64_t splitfd_crc64(uint64_t crc, const void *data, size_t n)
{
	return crc64_iso_refl(crc, data, n);
}
