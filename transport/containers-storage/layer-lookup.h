/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_LOOKUP_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_LOOKUP_H

/*
 * A layer of a store without an image: by what a protocol's client knows of it.
 */

#include "transport/containers-storage/store.h"

enum sfd_layer_key {
	SFD_LAYER_BY_ID,      /* the storage layer's ID, whole */
	SFD_LAYER_BY_DIFF_ID, /* "sha256:HEX" of its tar, as recorded, or as a partial pull claims
			       */
};

/* 1 where the store has such a layer, complete; 0 where not. */
int sfd_store_has_layer(struct splitfd_store *store, enum sfd_layer_key key, const char *value,
	struct splitfd_error *err);

/* Opens it; see splitfd_image_open_layer(). Of several with the same diff_id the first that can be
 * opened is taken. NOT_FOUND (ENOENT) where there is none. Nobody has checked a claimed diff_id:
 * who takes the tar has to. */
int sfd_store_open_layer(struct splitfd_store *store, enum sfd_layer_key key, const char *value,
	struct splitfd_source **ret, struct splitfd_error *err);

/* As splitfd_image_open_layer(), for callers that want the tar's bytes only: what comes as bytes is
 * not cut into files. */
int sfd_image_open_layer_bytes(struct splitfd_image *image, size_t i, struct splitfd_source **ret,
	struct splitfd_error *err);

/* The ID of the layer's parent, "" where it is a base layer. NOT_FOUND as above. */
int sfd_store_layer_parent(
	struct splitfd_store *store, const char *id, char ret[65], struct splitfd_error *err);

/* True where the records no longer have the layer whole: container-libs mark it before they remove
 * anything of it, or take its record away first. Takes no lock, so that no removal is waited for:
 * the files of records are replaced as a whole. */
bool sfd_store_layer_removed(struct splitfd_store *store, const char *id);

#endif
