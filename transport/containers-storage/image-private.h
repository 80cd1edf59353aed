/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_PRIVATE_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_PRIVATE_H

/*
 * An opened image. Never changed after it was opened, so that its layers can be opened by several
 * threads.
 */

#include "transport/containers-storage/layer.h"
#include "transport/containers-storage/store-private.h"

#define SFD_CHAIN_MAX 500

struct sfd_image_layer {
	struct splitfd_layer_info info; /* points into the rest */
	char diff_id[72];
	char layer_id[65];
	char manifest_digest[72];
	char *media_type;
	char *unknown; /* of the records; NULL */
};

struct splitfd_image {
	struct splitfd_store *store; /* a reference */
	char id[65];
	char **names;
	char *manifest, *config;
	size_t manifest_size, config_size;
	char manifest_digest[72], config_digest[72];
	struct sfd_image_layer *layers; /* base first */
	size_t n_layers;
	struct sfd_layer_db db; /* as it was when the image was opened */
};

/* Opens what a layer consists of while the layers' lock is held; `db` was read under it, or is
 * fresh. diff_id may be NULL (not known). The strings of *ret are those that were given. */
int sfd_layer_describe_locked(struct splitfd_store *store, const struct sfd_layer_db *db,
	const char *layer_id, const char *diff_id, uint64_t size, struct sfd_layer_desc *ret,
	struct splitfd_error *err);

#endif
