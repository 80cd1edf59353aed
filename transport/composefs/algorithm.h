/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_ALGORITHM_H
#define SPLITFD_COMPOSEFS_ALGORITHM_H

/*
 * The fs-verity algorithms of repositories: their names, and their digests' size and text.
 */

#include "transport/composefs/object-digest.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether it is one of them: what comes as a number may be anything. The others want one that is.
 */
bool sfd_algorithm_known(enum splitfd_algorithm algorithm);
/* "fsverity-sha512-12" or "fsverity-sha256-12". */
const char *sfd_algorithm_name(enum splitfd_algorithm algorithm);
/* The other way round; false where no algorithm has that name. */
bool sfd_algorithm_parse(const char *name, enum splitfd_algorithm *ret);
/* The hash by its short name, which OpenSSL knows too: "sha512" or "sha256"; and back. */
const char *sfd_algorithm_hash(enum splitfd_algorithm algorithm);
bool sfd_algorithm_parse_hash(const char *hash, enum splitfd_algorithm *ret);

/* Bytes of a digest: 32 or 64. */
size_t sfd_digest_size(enum splitfd_algorithm algorithm);
/* A digest from lower-case hex; false where the text is none of this algorithm. */
bool sfd_digest_parse(
	enum splitfd_algorithm algorithm, const char *hex, struct splitfd_digest *ret);

#endif
