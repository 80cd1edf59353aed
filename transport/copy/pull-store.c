/* SPDX-License-Identifier: Apache-2.0 */
/* A pull from containers-storage, read here. */
#include "transport/copy/pull.h"
#include "transport/copy/needs.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository-private.h"
#include "transport/containers-storage/store-private.h"
#include "transport/containers-storage/store-writers.h"

#include <stdlib.h>

SFD_DEFINE_CLEANUP(cleanup_store, struct splitfd_store, splitfd_store_close);
SFD_DEFINE_CLEANUP(cleanup_image, struct splitfd_image, splitfd_image_close);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

static int begin(struct sfd_pull *pull, const struct splitfd_image *image,
	const struct sfd_own_ids *ids, struct splitfd_error *err)
{
	size_t n = splitfd_image_n_layers(image), manifest_size, config_size;
	sfd_cleanup_free const char **diff_ids = calloc(n + 1, sizeof(*diff_ids));
	const char *manifest = splitfd_image_manifest(image, &manifest_size);
	const char *config = splitfd_image_config(image, &config_size);

	int r;

	if (diff_ids == NULL)
		return splitfd_error_oom(err);
	r = sfd_image_has_other_writers(image, ids, err);
	if (r < 0)
		return r;
	if (r > 0)
		sfd_pull_other_writers(pull);
	for (size_t i = 0; i < n; i++) {
		diff_ids[i] = splitfd_image_layer(image, i)->diff_id;
		/* The store took the registry's word for it. */
		if (splitfd_image_layer(image, i)->diff_id_claimed)
			sfd_pull_verify_diff_ids(pull);
	}
	return sfd_pull_begin(pull, manifest, manifest_size, config, config_size, diff_ids, n, err);
}

/* What a later release of the storage library has written of the image: said once. */
static void note_unknown(struct sfd_pull *pull, const struct splitfd_image *image)
{
	for (size_t i = 0; i < splitfd_image_n_layers(image); i++) {
		const struct splitfd_layer_info *layer = splitfd_image_layer(image, i);
		char text[512];

		if (layer->unknown == NULL)
			continue;
		snprintf(text, sizeof(text),
			"the store's record of layer %.64s or of its image has '%.100s', which "
			"this "
			"release does not know; the layers' SHA-256 are checked",
			layer->layer_id, layer->unknown);
		sfd_pull_note(pull, text);
		return;
	}
}

static int pull_layer(
	struct sfd_pull *pull, struct splitfd_image *image, size_t i, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	const struct splitfd_layer_info *layer = splitfd_image_layer(image, i);
	struct splitfd_sink *sink;
	int r;

	r = sfd_pull_layer_sink(pull, i, layer->size, &sink, err);
	if (r < 0 || sink == NULL)
		return r;
	r = splitfd_image_open_layer(image, i, &source, err);
	if (r < 0)
		return r;
	return sfd_pull_feed(pull, i, source, err);
}

int sfd_pull_from_store(struct sfd_pull *pull, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = sfd_pull_get_options(pull);
	struct splitfd_store_options options = o->store;
	sfd_cleanup_free char *spec = NULL;
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	sfd_cleanup(cleanup_image) struct splitfd_image *image = NULL;
	struct sfd_own_ids ids;
	const char *name;
	int r;

	r = splitfd_store_parse_reference(o->reference, &options, &spec, &name, err);
	if (r < 0)
		return r;
	options.cancel_fd = sfd_pull_cancel_fd(pull);
	r = splitfd_store_open(&options, &store, err);
	if (r < 0)
		return r;
	r = sfd_store_spool_in(store, sfd_pull_repository(pull)->fd);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot copy a descriptor");
	sfd_own_ids_read(&ids);
	sfd_announce_needs(o->confine, &(struct sfd_needs){ .read_rules = true,
					       .store = store,
					       .repository = sfd_pull_repository(pull),
					       .objects = -EBADF });
	r = splitfd_image_open(store, name,
		name == o->reference ? SPLITFD_LOOKUP_PODMAN : SPLITFD_LOOKUP_BOTH, &image, err);
	if (r < 0)
		return r;
	r = begin(pull, image, &ids, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "image '%s'", name);
	note_unknown(pull, image);
	for (size_t i = 0; r == 0 && i < splitfd_image_n_layers(image); i++)
		sfd_pull_layer_size(pull, i, splitfd_image_layer(image, i)->size);
	for (size_t i = 0; r == 0 && i < splitfd_image_n_layers(image); i++) {
		r = pull_layer(pull, image, i, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "image '%s', layer %s", name,
				splitfd_image_layer(image, i)->diff_id);
	}
	return r;
}
