/* SPDX-License-Identifier: Apache-2.0 */
/* XXH32 by the specification, doc/xxhash_spec.md of the xxHash project. */
#include "transport/composefs/erofs/erofs-private.h"

#include <string.h>

#define PRIME1 0x9e3779b1u
#define PRIME2 0x85ebca77u
#define PRIME3 0xc2b2ae3du
#define PRIME4 0x27d4eb2fu
#define PRIME5 0x165667b1u

static uint32_t rotate(uint32_t v, int bits)
{
	return v << bits | v >> (32 - bits);
}

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t stripes(const uint8_t **data, size_t *n, uint32_t seed)
{
	uint32_t acc[4] = { seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1 };

	for (; *n >= 16; *n -= 16)
		for (int i = 0; i < 4; i++, *data += 4)
			acc[i] = rotate(acc[i] + read32(*data) * PRIME2, 13) * PRIME1;
	return rotate(acc[0], 1) + rotate(acc[1], 7) + rotate(acc[2], 12) + rotate(acc[3], 18);
}

uint32_t sfd_xxh32(const uint8_t *data, size_t n, uint32_t seed)
{
	uint32_t length = (uint32_t)n;
	uint32_t h = n >= 16 ? stripes(&data, &n, seed) : seed + PRIME5;

	h += length;
	for (; n >= 4; n -= 4, data += 4)
		h = rotate(h + read32(data) * PRIME3, 17) * PRIME4;
	for (; n > 0; n--, data++)
		h = rotate(h + *data * PRIME5, 11) * PRIME1;
	h = (h ^ h >> 15) * PRIME2;
	h = (h ^ h >> 13) * PRIME3;
	return h ^ h >> 16;
}
