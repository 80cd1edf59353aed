/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_LOWERS_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_LOWERS_H

/*
 * The directories below a layer: overlay/ID/lower-layers (IDs), or overlay/ID/lower (short names of
 * overlay/l/), each of which may be in another store.
 */

#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/store-private.h"

/* Reads the list from the layer's directory. *ret is NULL for a base layer, else the caller's; it
 * holds a reference to the store. REFUSED where the list is malformed. */
int sfd_layer_lowers_read(struct splitfd_store *store, int layer_dir, struct sfd_layer_lowers **ret,
	struct splitfd_error *err);

#endif
