/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_GZIP_HEADER_H
#define SPLITFD_TAR_GZIP_HEADER_H

/*
 * The header of a gzip member (RFC 1952), byte by byte: ISA-L 2.30 refuses some headers that come
 * in pieces. As in Go's compress/gzip, reserved flags mean nothing and a header's CRC counts.
 */

#include <stdint.h>

enum sfd_gzip_field {
	SFD_GZIP_FIXED,
	SFD_GZIP_EXTRA_SIZE,
	SFD_GZIP_EXTRA,
	SFD_GZIP_NAME,
	SFD_GZIP_COMMENT,
	SFD_GZIP_CRC,
	SFD_GZIP_DONE,
};

/* Starts as zeros. */
struct sfd_gzip_header {
	enum sfd_gzip_field field;
	uint32_t at; /* bytes of the field that came */
	uint32_t crc, value, extra;
	uint8_t flags;
};

/* The next byte. NULL, or what is wrong. Not to be called once `field` is DONE. */
const char *sfd_gzip_header_put(struct sfd_gzip_header *h, uint8_t byte);

#endif
