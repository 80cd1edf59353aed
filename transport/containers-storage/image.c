/* SPDX-License-Identifier: Apache-2.0 */
/* An image: its records, manifest and config, and the chain of its layers. */
#include "transport/containers-storage/image-private.h"
#include "transport/containers-storage/image-ref.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/containers-storage/store-files.h"
#include "transport/oci/oci-json.h"

#include <string.h>

/* Container-libs' own bound of both documents. */
#define DOCUMENT_MAX ((size_t)4 * 1024 * 1024)

SFD_DEFINE_CLEANUP(image_cleanup, struct splitfd_image, splitfd_image_close);

struct splitfd_image *splitfd_image_close(struct splitfd_image *image)
{
	if (image == NULL)
		return NULL;
	for (size_t i = 0; image->names != NULL && image->names[i] != NULL; i++)
		free(image->names[i]);
	free(image->names);
	free(image->manifest);
	free(image->config);
	for (size_t i = 0; image->layers != NULL && i < image->n_layers; i++) {
		free(image->layers[i].media_type);
		free(image->layers[i].unknown);
	}
	free(image->layers);
	sfd_layer_db_done(&image->db);
	splitfd_store_close(image->store);
	free(image);
	return NULL;
}

const char *splitfd_image_id(const struct splitfd_image *image)
{
	return image->id;
}

const char *const *splitfd_image_names(const struct splitfd_image *image)
{
	return (const char *const *)image->names;
}

const char *splitfd_image_manifest(const struct splitfd_image *image, size_t *ret_size)
{
	*ret_size = image->manifest_size;
	return image->manifest;
}

const char *splitfd_image_config(const struct splitfd_image *image, size_t *ret_size)
{
	*ret_size = image->config_size;
	return image->config;
}

const char *splitfd_image_manifest_digest(const struct splitfd_image *image)
{
	return image->manifest_digest;
}

const char *splitfd_image_config_digest(const struct splitfd_image *image)
{
	return image->config_digest;
}

size_t splitfd_image_n_layers(const struct splitfd_image *image)
{
	return image->n_layers;
}

const struct splitfd_layer_info *splitfd_image_layer(const struct splitfd_image *image, size_t i)
{
	return &image->layers[i].info;
}

int splitfd_image_find_layer(const struct splitfd_image *image, const char *layer, size_t *ret,
	struct splitfd_error *err)
{
	uint64_t index;

	if (sfd_parse_u64(layer, UINT32_MAX, &index) && index < image->n_layers) {
		*ret = (size_t)index;
		return 0;
	}
	for (size_t i = 0; i < image->n_layers; i++)
		if (strcmp(image->layers[i].diff_id, layer) == 0 ||
			strcmp(image->layers[i].manifest_digest, layer) == 0) {
			*ret = i;
			return 0;
		}
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"%s: the image %.12s has no such layer (of its %zu); give a diff_id, the "
		"manifest's digest of the layer, or its number from 0",
		layer, image->id, image->n_layers);
}

static int copy_names(
	struct splitfd_image *image, const char *const *names, struct splitfd_error *err)
{
	size_t n = 0;

	while (names[n] != NULL)
		n++;
	image->names = calloc(n + 1, sizeof(*image->names));
	if (image->names == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < n; i++) {
		image->names[i] = strdup(names[i]);
		if (image->names[i] == NULL)
			return splitfd_error_oom(err);
	}
	return 0;
}

/* The big data `key` of the image, with its digest, which must be `want` ("" accepts any). */
static int read_document(struct splitfd_store *store, const struct sfd_image_found *found,
	const char *key, const char *want, char **ret, size_t *ret_size, char digest[72],
	struct splitfd_error *err)
{
	const struct sfd_place *place = &store->places[sfd_store_image_place(store, found->list)];
	char name[512], kind[640], path[SFD_STORE_PATH_MAX + 640];
	int r = sfd_store_big_data_name(key, name, sizeof(name));

	if (r >= 0) {
		(void)snprintf(kind, sizeof(kind), "%s/%s", found->image->id, name);
		(void)snprintf(path, sizeof(path), "%s-images/%s", store->driver->name, kind);
		r = sfd_store_read_file(place->fd, path, DOCUMENT_MAX, ret, ret_size);
	}
	/* The image is there, and its lock is held: that is damage. */
	if (r == -ENOENT)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
			"its %s is missing in %s; podman pull restores it", key, place->path);
	if (r < 0)
		return splitfd_error_sys(
			err, -r, "its %s cannot be read from %s", key, place->path);
	r = splitfd_sha256_text(*ret, *ret_size, digest, err);
	if (r < 0)
		return r;
	if (*want != '\0' && strcmp(digest, want) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"its %s in %s was changed: the content has the digest %s, recorded is %s",
			key, place->path, digest, want);
	return 0;
}

/* Layers and config are found by their sha256 here. */
static int check_sha256(const char *digest, const char *what, struct splitfd_error *err)
{
	if (sfd_parse_sha256(digest, NULL))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
		"its %s has the digest %s; only sha256 is supported", what, digest);
}

static int parse_manifest(
	const struct splitfd_image *image, struct sfd_oci_manifest *ret, struct splitfd_error *err)
{
	int r = sfd_oci_manifest_parse(
		image->manifest, image->manifest_size, SFD_OCI_STORE, ret, err);

	if (r >= 0)
		r = check_sha256(ret->config_digest, "config", err);
	for (size_t i = 0; r >= 0 && i < ret->n_layers; i++)
		r = check_sha256(ret->layers[i], "layer", err);
	return r;
}

static int parse_config(
	const struct splitfd_image *image, struct sfd_oci_config *ret, struct splitfd_error *err)
{
	int r = sfd_oci_config_parse(image->config, image->config_size, SFD_OCI_STORE, ret, err);

	for (size_t i = 0; r >= 0 && i < ret->n_diff_ids; i++)
		r = check_sha256(ret->diff_ids[i], "layer", err);
	return r;
}

/* The manifest that the name's digest asks for, where the store has it as an image's manifest; else
 * the image's current one. */
static int read_manifest(struct splitfd_image *image, const struct sfd_image_found *found,
	struct sfd_oci_manifest *manifest, struct splitfd_error *err)
{
	const char *recorded = sfd_image_big_data_digest(found->image, "manifest");
	char key[300];
	int r;

	(void)snprintf(key, sizeof(key), "manifest-%s", found->digest);
	if (found->digest[0] != '\0' && sfd_image_big_data_digest(found->image, key) != NULL) {
		r = read_document(image->store, found, key, found->digest, &image->manifest,
			&image->manifest_size, image->manifest_digest, err);
		if (r < 0)
			return r;
		r = parse_manifest(image, manifest, err);
		if (r >= 0)
			return 0;
		/* It is an index that the image was chosen from. */
		sfd_oci_manifest_done(manifest);
		splitfd_error_clear(err);
		free(image->manifest);
		image->manifest = NULL;
	}
	if (recorded == NULL)
		recorded = found->image->digest;
	if (recorded == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the digest of its manifest is not recorded");
	r = read_document(image->store, found, "manifest", recorded, &image->manifest,
		&image->manifest_size, image->manifest_digest, err);
	if (r < 0)
		return r;
	return parse_manifest(image, manifest, err);
}

static int layer_missing(
	const struct splitfd_image *image, const char *id, struct splitfd_error *err)
{
	int r = splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOENT,
		"its layer %s is missing in the store; podman pull restores it", id);

	for (size_t i = 0; i < image->db.n; i++)
		r = sfd_odd_records_note(&image->db.lists[i].odd, r, err);
	return r;
}

/* The records of the chain, top first: the walk over the parents through all stores. */
static int walk(const struct splitfd_image *image, const char *top,
	const struct sfd_layer_record **chain, size_t *ret_n, struct splitfd_error *err)
{
	size_t n = 0, place;

	for (const char *id = top; id != NULL; n++) {
		if (n == SFD_CHAIN_MAX)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ELOOP,
				"it has more than %d layers, or their parents form a loop",
				SFD_CHAIN_MAX);
		chain[n] = sfd_layer_db_find(&image->db, id, &place);
		if (chain[n] == NULL)
			return layer_missing(image, id, err);
		if (chain[n]->incomplete)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"its layer %s is incomplete: a pull or a removal did not end", id);
		id = chain[n]->parent;
	}
	*ret_n = n;
	return 0;
}

static int fill_layer(struct sfd_image_layer *layer, const struct sfd_layer_record *record,
	const char *diff_id, const char *image_unknown, struct splitfd_error *err)
{
	const char *recorded = record->diff_digest != NULL ? record->diff_digest
							   : record->expected_diff_id;
	const char *unknown = record->unknown != NULL ? record->unknown : image_unknown;

	if (recorded != NULL && strcmp(recorded, diff_id) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"its layer %s has the diff_id %s by the store, but %s by the config",
			record->id, recorded, diff_id);
	memcpy(layer->diff_id, diff_id, 72);
	memcpy(layer->layer_id, record->id, 65);
	layer->info.diff_id = layer->diff_id;
	layer->info.layer_id = layer->layer_id;
	layer->info.size = sfd_layer_record_size(record, diff_id);
	layer->info.diff_id_claimed = record->diff_digest == NULL || record->toc_digest != NULL ||
				      unknown != NULL;
	if (unknown != NULL) {
		layer->unknown = strdup(unknown);
		if (layer->unknown == NULL)
			return splitfd_error_oom(err);
	}
	layer->info.unknown = layer->unknown;
	return 0;
}

static int fill_blob(struct sfd_image_layer *layer, const struct sfd_oci_manifest *manifest,
	size_t i, struct splitfd_error *err)
{
	const char *media_type = manifest->layer_types[i];

	memcpy(layer->manifest_digest, manifest->layers[i], 72);
	layer->info.manifest_digest = layer->manifest_digest;
	if (media_type != NULL && *media_type != '\0') {
		layer->media_type = strdup(media_type);
		if (layer->media_type == NULL)
			return splitfd_error_oom(err);
	}
	layer->info.media_type = layer->media_type;
	return 0;
}

static int read_chain(struct splitfd_image *image, const struct sfd_image_record *record,
	const struct sfd_oci_manifest *manifest, struct splitfd_error *err)
{
	const struct sfd_layer_record *chain[SFD_CHAIN_MAX];
	sfd_cleanup(sfd_oci_config_done) struct sfd_oci_config ids = { 0 };
	size_t n = 0;
	int r = parse_config(image, &ids, err);

	if (r >= 0)
		r = walk(image, record->layer, chain, &n, err);
	if (r < 0)
		return r;
	if (n != ids.n_diff_ids || n != manifest->n_layers)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the store has %zu layers of it, its config %zu, its manifest %zu", n,
			ids.n_diff_ids, manifest->n_layers);
	image->layers = calloc(n + 1, sizeof(*image->layers));
	if (image->layers == NULL)
		return splitfd_error_oom(err);
	image->n_layers = n;
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = fill_layer(
			&image->layers[i], chain[n - 1 - i], ids.diff_ids[i], record->unknown, err);
		if (r >= 0)
			r = fill_blob(&image->layers[i], manifest, i, err);
	}
	return r;
}

/* For podman's user, a local list of manifests is its image for this machine, or another that was
 * asked for. It has no layers. */
static int choose_instance(struct splitfd_store *store, const struct sfd_image_db *db,
	const char *name, struct sfd_image_found *found, struct splitfd_error *err)
{
	sfd_cleanup_free char *manifest = NULL;
	char digest[72];
	size_t size;
	int r;

	if (found->image->layer != NULL)
		return 0;
	r = read_document(store, found, "manifest", "", &manifest, &size, digest, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "image %.12s", found->image->id);
	return sfd_lookup_instance(db, &store->platform, name, manifest, size, found, err);
}

/* Everything that is read of a found image. The caller holds the locks. */
static int read_image(
	struct splitfd_image *image, const struct sfd_image_found *found, struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_manifest_done) struct sfd_oci_manifest manifest = { 0 };
	int r;

	memcpy(image->id, found->image->id, sizeof(image->id));
	r = copy_names(image, found->image->names, err);
	if (r >= 0)
		r = read_manifest(image, found, &manifest, err);
	if (r >= 0)
		r = read_document(image->store, found, manifest.config_digest,
			manifest.config_digest, &image->config, &image->config_size,
			image->config_digest, err);
	if (r >= 0)
		r = read_chain(image, found->image, &manifest, err);
	return r < 0 ? splitfd_error_wrap(err, r, "image %.12s", image->id) : 0;
}

int splitfd_image_open(struct splitfd_store *store, const char *name, enum splitfd_lookup lookup,
	struct splitfd_image **ret, struct splitfd_error *err)
{
	sfd_cleanup(image_cleanup) struct splitfd_image *image = calloc(1, sizeof(*image));
	sfd_cleanup(sfd_store_locks_done) struct sfd_store_locks locks = { 0 };
	sfd_cleanup(sfd_image_db_done) struct sfd_image_db db = { 0 };
	struct sfd_image_found found;
	int r;

	if (image == NULL)
		return splitfd_error_oom(err);
	image->store = sfd_store_ref(store);
	r = sfd_store_lock_layers(store, &locks, err);
	if (r >= 0)
		r = sfd_store_lock_images(store, &locks, err);
	if (r >= 0)
		r = sfd_store_read_images(store, &db, err);
	if (r >= 0) {
		r = sfd_image_ref_find(&db, name, lookup, &found, err);
		for (size_t i = 0; i < db.n && r == -ENOENT; i++)
			r = sfd_odd_records_note(&db.lists[i].odd, r, err);
	}
	if (r >= 0 && lookup != SPLITFD_LOOKUP_TRANSPORT)
		r = choose_instance(store, &db, name, &found, err);
	if (r >= 0)
		r = sfd_store_read_layers(store, &image->db, err);
	if (r >= 0)
		r = read_image(image, &found, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&image);
	return 0;
}
