/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/digest.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <isa-l/crc64.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL's functions of the one algorithm: they take no memory and start nothing. Those of EVP
 * look up providers and settings by some thousand allocations, and where one of the first fails,
 * OpenSSL 3.0 crashes. */
struct splitfd_sha256 {
	SHA256_CTX ctx;
	bool failed;
};

struct splitfd_sha256 *splitfd_sha256_new(void)
{
	struct splitfd_sha256 *h = calloc(1, sizeof(*h));

	if (h != NULL && SHA256_Init(&h->ctx) != 1)
		return splitfd_sha256_free(h);
	return h;
}

void splitfd_sha256_update(struct splitfd_sha256 *h, const void *data, size_t n)
{
	if (SHA256_Update(&h->ctx, data, n) != 1)
		h->failed = true;
}

int splitfd_sha256_final(struct splitfd_sha256 *h, uint8_t digest[32], struct splitfd_error *err)
{
	if (SHA256_Final(digest, &h->ctx) == 1 && !h->failed)
		return 0;
	memset(digest, 0, 32);
	return splitfd_error_set(
		err, SPLITFD_ERROR_FAILED, EIO, "OpenSSL cannot compute the sha256");
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
	free(h);
	return NULL;
}

int splitfd_sha256_text(const void *data, size_t n, char text[72], struct splitfd_error *err)
{
	struct splitfd_sha256 h = { .failed = false };

	if (SHA256_Init(&h.ctx) != 1)
		h.failed = true;
	splitfd_sha256_update(&h, data, n);
	return splitfd_sha256_final_text(&h, text, err);
}

/* ISA-L's own choice asks for SSE4.2 only, and then multiplies carry-less: SIGILL on CPUs, and
 * models of CPUs in virtual machines, that have the one without the other. */
static bool can_choose(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("pclmul");
#else
	return true;
#endif
}

uint64_t splitfd_crc64(uint64_t crc, const void *data, size_t n)
{
	return can_choose() ? crc64_iso_refl(crc, data, n) : crc64_iso_refl_base(crc, data, n);
}
