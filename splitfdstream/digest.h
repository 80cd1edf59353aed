/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_DIGEST_H
#define SPLITFD_DIGEST_H

/*
 * Digests of whole streams: SHA-256 (OpenSSL) and CRC-64 as tar-split uses it (ISA-L).
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_sha256;

/* NULL when memory is short. */
struct splitfd_sha256 *splitfd_sha256_new(void);
/* A failure is kept until splitfd_sha256_final, which reports it. */
void splitfd_sha256_update(struct splitfd_sha256 *h, const void *data, size_t n);
/* The digest of what came so far; the object must not be updated afterwards. Where it fails, the
 * digest is all zeros: never use it. */
int splitfd_sha256_final(struct splitfd_sha256 *h, uint8_t digest[32], struct splitfd_error *err)
	__attribute__((warn_unused_result));
/* The same as "sha256:HEX" and a NUL; "" where it fails. */
int splitfd_sha256_final_text(struct splitfd_sha256 *h, char text[72], struct splitfd_error *err)
	__attribute__((warn_unused_result));
/* NULL is allowed. Returns NULL. */
struct splitfd_sha256 *splitfd_sha256_free(struct splitfd_sha256 *h);

/* The digest of one run of bytes as "sha256:HEX" and a NUL; "" where it fails. */
int splitfd_sha256_text(const void *data, size_t n, char text[72], struct splitfd_error *err)
	__attribute__((warn_unused_result));

/* CRC-64/GO-ISO: reflected polynomial 0xD800000000000000, all ones in and out. Start with 0 and
 * give the last result to go on; "123456789" gives 0xb90956c775a41001. */
uint64_t splitfd_crc64(uint64_t crc, const void *data, size_t n);

#ifdef __cplusplus
}
#endif

#endif
