/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_CRC64_COMBINE_H
#define SPLITFD_COMPOSEFS_CRC64_COMBINE_H

#include <stdint.h>

/* The CRC-64 (as splitfd_crc64 makes it) of A followed by B, from those of A and of B and the
 * length of B in bytes: pieces of a file can be summed by several threads. */
uint64_t sfd_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

#endif
