/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_TABLE_H
#define SPLITFD_COMPOSEFS_OBJECT_TABLE_H

/*
 * The objects that this run has stored or found: what is in here needs no system call. At most 48
 * bytes for each object: of a sha512 digest only the first 32 bytes are kept, which is as hard to
 * meet by accident or intent as a sha256 digest. Calls may come from several threads.
 */

#include "transport/composefs/repository.h"

struct sfd_object_table;

/* NULL when memory is short. */
struct sfd_object_table *sfd_object_table_new(void);
/* NULL is allowed. Returns NULL. */
struct sfd_object_table *sfd_object_table_free(struct sfd_object_table *table);

bool sfd_object_table_has(struct sfd_object_table *table, const struct splitfd_digest *digest);
/* 0 (also where it was there); -ENOMEM. */
int sfd_object_table_add(struct sfd_object_table *table, const struct splitfd_digest *digest);

#endif
