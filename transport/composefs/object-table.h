/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_TABLE_H
#define SPLITFD_COMPOSEFS_OBJECT_TABLE_H

/*
 * The objects that this run has stored or found, by number: what is in here needs no system call,
 * and the layers' streams refer to it. A digest (32 or 64 bytes) and at most 12 bytes for each
 * object. Calls may come from several threads.
 */

#include "transport/composefs/repository.h"

struct sfd_object_table;

/* For digests of that algorithm. NULL when memory is short. */
struct sfd_object_table *sfd_object_table_new(enum splitfd_algorithm algorithm);
/* NULL is allowed. Returns NULL. */
struct sfd_object_table *sfd_object_table_free(struct sfd_object_table *table);

bool sfd_object_table_has(struct sfd_object_table *table, const struct splitfd_digest *digest);
/* The object's number, from 0 on in the order in which they are added; it is added where it is new.
 * -ENOMEM; -EINVAL for a digest of another algorithm; -EOVERFLOW beyond 2^31 objects. */
ptrdiff_t sfd_object_table_add(struct sfd_object_table *table, const struct splitfd_digest *digest);
/* The raw digests of n objects, one behind the other at `out`. The numbers were given by
 * sfd_object_table_add. */
void sfd_object_table_get(
	struct sfd_object_table *table, const uint32_t *numbers, size_t n, uint8_t *out);

#endif
