/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/image-tree.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository-private.h"

#include <string.h>

int sfd_tree_layer_read(struct splitfd_repository *repository, const struct splitfd_digest *stream,
	const char *diff_id, enum sfd_tree_xattrs xattrs, struct sfd_tree_layer **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_splitstream struct sfd_splitstream *s = NULL;
	sfd_cleanup_tree_layer struct sfd_tree_layer *layer = NULL;
	int r;

	r = sfd_splitstream_open(repository, stream, SFD_STREAM_LAYER, &s, err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", diff_id);
	r = sfd_tree_layer_new(
		splitfd_repository_algorithm(repository), diff_id, xattrs, &layer, err);
	if (r < 0)
		return r;
	r = sfd_splitstream_tell(s, false, sfd_tree_layer_listener(layer), err);
	if (r < 0)
		return splitfd_error_wrap(err, r, "layer %s", diff_id);
	r = sfd_tree_layer_finish(layer, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&layer);
	return 0;
}

static int apply_stored(struct splitfd_repository *repository, struct sfd_tree *tree,
	const struct splitfd_digest *stream, const char *diff_id, enum sfd_tree_xattrs xattrs,
	struct splitfd_error *err)
{
	sfd_cleanup_tree_layer struct sfd_tree_layer *layer = NULL;
	int r;

	r = sfd_tree_layer_read(repository, stream, diff_id, xattrs, &layer, err);
	return r < 0 ? r : sfd_tree_apply(tree, layer, err);
}

int sfd_image_tree(struct splitfd_repository *repository, const struct sfd_oci_document *config,
	const struct sfd_oci_config *facts, enum sfd_tree_xattrs xattrs,
	void (*told)(void *ctx, const char *text), void *ctx, struct sfd_tree **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_tree struct sfd_tree *tree = NULL;
	int r;

	r = sfd_tree_new(splitfd_repository_algorithm(repository), &tree, err);
	if (r < 0)
		return r;
	sfd_tree_on_deviation(tree, told, ctx);
	for (size_t i = 0; i < facts->n_diff_ids; i++) {
		struct splitfd_digest stream;

		if (!sfd_splitstream_find_ref(config->reader, facts->diff_ids[i], &stream))
			return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
				"the stored config has no reference to its layer %s",
				facts->diff_ids[i]);
		r = apply_stored(repository, tree, &stream, facts->diff_ids[i], xattrs, err);
		if (r < 0)
			return r;
	}
	r = sfd_tree_finish_oci(tree, xattrs, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&tree);
	return 0;
}

size_t sfd_image_formats(
	const struct splitfd_repository *repository, int formats[SFD_IMAGE_FORMATS])
{
	size_t n = 0;

	formats[n++] = repository->erofs_default;
	for (size_t i = 0; i < repository->n_erofs_extra && n < SFD_IMAGE_FORMATS; i++)
		if (repository->erofs_extra[i] != repository->erofs_default)
			formats[n++] = repository->erofs_extra[i];
	return n;
}
