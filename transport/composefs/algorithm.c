/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/algorithm.h"
#include "splitfdstream/base/text.h"

#include <string.h>

const char *sfd_algorithm_name(enum splitfd_algorithm algorithm)
{
	return algorithm == SPLITFD_SHA512 ? "fsverity-sha512-12" : "fsverity-sha256-12";
}

bool sfd_algorithm_parse(const char *name, enum splitfd_algorithm *ret)
{
	for (int a = SPLITFD_SHA256; a <= SPLITFD_SHA512; a++) {
		*ret = (enum splitfd_algorithm)a;
		if (strcmp(name, sfd_algorithm_name(*ret)) == 0)
			return true;
	}
	return false;
}

size_t sfd_digest_size(enum splitfd_algorithm algorithm)
{
	return algorithm == SPLITFD_SHA512 ? 64 : 32;
}

void splitfd_digest_hex(const struct splitfd_digest *digest, char *hex)
{
	sfd_hex_encode(digest->bytes, digest->size, hex);
}

bool sfd_digest_parse(enum splitfd_algorithm algorithm, const char *hex, struct splitfd_digest *ret)
{
	size_t size = sfd_digest_size(algorithm);

	memset(ret, 0, sizeof(*ret));
	ret->size = (uint8_t)size;
	return strlen(hex) == 2 * size && sfd_hex_decode(hex, size, ret->bytes);
}
