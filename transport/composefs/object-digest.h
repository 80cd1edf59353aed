/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_DIGEST_H
#define SPLITFD_COMPOSEFS_OBJECT_DIGEST_H

/*
 * The names of objects: fs-verity digests.
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum splitfd_algorithm {
	SPLITFD_SHA256 = 1, /* fsverity-sha256-12; 32-byte digests */
	SPLITFD_SHA512 = 2, /* fsverity-sha512-12; 64-byte digests, cfsctl's default */
};

#define SPLITFD_DIGEST_MAX 64

/* An fs-verity digest; its length goes by the repository's algorithm. */
struct splitfd_digest {
	uint8_t bytes[SPLITFD_DIGEST_MAX];
	uint8_t size; /* 32 or 64 */
};

/* Lower-case hex and a NUL: 2 * size + 1 bytes at `hex`. */
void splitfd_digest_hex(const struct splitfd_digest *digest, char *hex);
/* Same size and same bytes. */
bool splitfd_digest_equal(const struct splitfd_digest *a, const struct splitfd_digest *b);

#ifdef __cplusplus
}
#endif

#endif
