/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_WRITERS_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_WRITERS_H

/*
 * Who can write an image's layers? CRC-64 finds damage; whoever can write a file and knows what
 * CRC-64 it must have can forge it.
 */

#include "transport/containers-storage/own-ids.h"
#include "transport/containers-storage/store.h"

/* 1 where a user who is neither root nor the caller (own-ids.h) can reach and write what the
 * image's layers are read from; 0; -errno. The directories from the store's root down to a layer's
 * own decide by owner, mode and access list, and those above the store by whether they can be
 * passed or written: files belong to whoever owns them in the image. */
int sfd_image_has_other_writers(const struct splitfd_image *image, const struct sfd_own_ids *ids,
	struct splitfd_error *err);

#endif
