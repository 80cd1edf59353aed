/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/gzip-header.h"

#include <isa-l/crc.h>
#include <stdbool.h>
#include <stddef.h>

#define FLAG_CRC     0x02
#define FLAG_EXTRA   0x04
#define FLAG_NAME    0x08
#define FLAG_COMMENT 0x10

/* The next field that the flags name. */
static void next_field(struct sfd_gzip_header *h)
{
	static const uint8_t needs[] = {
		[SFD_GZIP_EXTRA_SIZE] = FLAG_EXTRA,
		[SFD_GZIP_EXTRA] = FLAG_EXTRA,
		[SFD_GZIP_NAME] = FLAG_NAME,
		[SFD_GZIP_COMMENT] = FLAG_COMMENT,
		[SFD_GZIP_CRC] = FLAG_CRC,
	};

	do {
		h->field++;
	} while (h->field != SFD_GZIP_DONE && (h->flags & needs[h->field]) == 0);
	if (h->field == SFD_GZIP_EXTRA && h->extra == 0) {
		next_field(h);
		return;
	}
	h->at = 0;
	h->value = 0;
}

static const char *put_fixed(struct sfd_gzip_header *h, uint8_t byte)
{
	static const uint8_t start[] = { 0x1f, 0x8b, 8 };

	if (h->at < sizeof(start) && byte != start[h->at])
		return "not gzip, or a damaged gzip header";
	if (h->at == 3)
		h->flags = byte;
	if (++h->at == 10)
		next_field(h);
	return NULL;
}

static bool put_u16(struct sfd_gzip_header *h, uint8_t byte)
{
	h->value |= (uint32_t)byte << (8 * h->at);
	return ++h->at == 2;
}

static const char *put_crc(struct sfd_gzip_header *h, uint32_t crc, uint8_t byte)
{
	h->crc = crc; /* without this field */
	if (!put_u16(h, byte))
		return NULL;
	if (h->value != (crc & 0xffff))
		return "wrong checksum of a gzip header";
	next_field(h);
	return NULL;
}

const char *sfd_gzip_header_put(struct sfd_gzip_header *h, uint8_t byte)
{
	uint32_t crc = h->crc;

	h->crc = crc32_gzip_refl(crc, &byte, 1);
	switch (h->field) {
	case SFD_GZIP_FIXED:
		return put_fixed(h, byte);
	case SFD_GZIP_EXTRA_SIZE:
		if (put_u16(h, byte)) {
			h->extra = h->value;
			next_field(h);
		}
		return NULL;
	case SFD_GZIP_EXTRA:
		if (++h->at == h->extra)
			next_field(h);
		return NULL;
	case SFD_GZIP_NAME:
	case SFD_GZIP_COMMENT:
		if (byte == 0)
			next_field(h);
		return NULL;
	case SFD_GZIP_CRC:
		return put_crc(h, crc, byte);
	case SFD_GZIP_DONE:
		break;
	}
	return NULL;
}
