/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/algorithm.h"
#include "splitfdstream/base/text.h"

#include <string.h>

static const struct {
	const char *name, *hash;
	size_t size; /* of a digest */
} algorithms[] = {
	[SPLITFD_SHA256] = { "fsverity-sha256-12", "sha256", 32 },
	[SPLITFD_SHA512] = { "fsverity-sha512-12", "sha512", 64 },
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

bool sfd_algorithm_known(enum splitfd_algorithm algorithm)
{
	return (size_t)algorithm < N_ALGORITHMS && algorithms[algorithm].name != NULL;
}

const char *sfd_algorithm_name(enum splitfd_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

const char *sfd_algorithm_hash(enum splitfd_algorithm algorithm)
{
	return algorithms[algorithm].hash;
}

bool sfd_algorithm_parse(const char *name, enum splitfd_algorithm *ret)
{
	for (size_t a = SPLITFD_SHA256; a < N_ALGORITHMS; a++) {
		*ret = (enum splitfd_algorithm)a;
		if (strcmp(name, algorithms[a].name) == 0)
			return true;
	}
	return false;
}

bool sfd_algorithm_parse_hash(const char *hash, enum splitfd_algorithm *ret)
{
	for (size_t a = SPLITFD_SHA256; a < N_ALGORITHMS; a++) {
		*ret = (enum splitfd_algorithm)a;
		if (strcmp(hash, algorithms[a].hash) == 0)
			return true;
	}
	return false;
}

size_t sfd_digest_size(enum splitfd_algorithm algorithm)
{
	return algorithms[algorithm].size;
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

bool splitfd_digest_equal(const struct splitfd_digest *a, const struct splitfd_digest *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}
