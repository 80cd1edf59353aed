/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a pull: layers finished, the image made, names committed. */
#include "transport/copy/pull-private.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/images/sync-ahead.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/stream/layer-proof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int finish_layers(struct sfd_pull *p, struct splitfd_error *err)
{
	for (size_t i = 0; i < p->n_layers; i++) {
		struct sfd_pull_layer *l = &p->layers[i];
		int r;

		if (l->sink == NULL)
			continue;
		r = splitfd_sink_finish(l->sink, err);
		if (r == -EBADMSG && p->blame != NULL)
			(void)splitfd_error_wrap(err, r, "%s", p->blame);
		if (r < 0)
			return splitfd_error_wrap(err, r, "layer %s", l->diff_id);
		sfd_pull_notify(p, SFD_COPY_STORED, i, l->bytes, l->total);
		sfd_import_layer_digest(l->sink, &l->digest);
	}
	sfd_pull_announce(p, SFD_COPY_STAGE, "Layers imported", 0);
	return 0;
}

static int make_images(struct sfd_pull *p, struct splitfd_error *err)
{
	const struct sfd_tree *tree;
	int r;

	sfd_sync_ahead_pause(sfd_names_sync_ahead(sfd_import_names(p->import)));
	for (size_t i = 0; i < p->n_layers; i++) {
		struct sfd_pull_layer *l = &p->layers[i];

		if (l->record == NULL)
			continue;
		r = sfd_tree_layer_finish(l->record, err);
		if (r < 0)
			return r;
		sfd_pull_tree_give(p->tree, i, sfd_take_ptr(&l->record));
	}
	r = sfd_pull_tree_finish(p->tree, &tree, err);
	return r < 0 ? r
		     : sfd_pull_make_images(
			       p->repository, tree, sfd_import_names(p->import), &p->images, err);
}

static void drop_images(struct sfd_pull *p)
{
	p->images.n = 0;
	p->images.has_main = false;
}

/* Names the failure that leaves the image out: layers, config, manifest and tag are right by
 * themselves. */
static void leave_image_out(struct sfd_pull *p, const struct splitfd_error *why)
{
	char text[sizeof(p->why_no_image) + 64];

	snprintf(p->why_no_image, sizeof(p->why_no_image), "%s", why->text);
	snprintf(text, sizeof(text), "no mountable image was made: %s", why->text);
	sfd_pull_note(p, text);
	drop_images(p);
}

static int commit(struct sfd_pull *p, struct splitfd_error *err)
{
	struct sfd_oci_ref refs[SFD_PULL_IMAGES_MAX];
	struct sfd_oci_image image = { .manifest = p->manifest,
		.manifest_size = p->manifest_size,
		.config = p->config,
		.config_size = p->config_size,
		.images = refs,
		.n_images = p->images.n,
		.tag = p->options.no_tag ? NULL : p->options.name };
	int r = sfd_pull_interrupted(p, err);

	for (size_t i = 0; i < p->images.n; i++) {
		refs[i].name = p->images.rows[i].name;
		refs[i].digest = p->images.rows[i].digest;
	}
	if (r == 0)
		r = sfd_oci_commit(
			p->repository, sfd_import_names(p->import), &image, &p->result, err);
	if (r == 0 && p->result.converted)
		r = splitfd_sha256_text(p->manifest, p->manifest_size, p->original, err);
	return r;
}

/* The layers are there, but their tree is not plain: they are read again. Their objects get their
 * names for that; nothing refers to them yet. */
static int read_again(struct sfd_pull *p, const char *why, struct splitfd_error *err)
{
	sfd_cleanup_free struct splitfd_digest *streams = calloc(p->n_layers + 1, sizeof(*streams));
	const struct sfd_readings readings = { .repository = p->repository,
		.diff_ids = p->diff_ids,
		.streams = streams,
		.n_layers = p->n_layers,
		.xattrs = SFD_TREE_XATTRS_ALLOWLIST,
		.choice = p->options.tree,
		.store = true,
		.told = sfd_pull_note,
		.ctx = p };
	struct splitfd_error failure = { 0 };
	int r;

	if (streams == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < p->n_layers; i++)
		streams[i] = p->layers[p->layers[i].first].digest;
	r = sfd_objects_publish(p->repository, &failure);
	if (r >= 0)
		r = sfd_pull_make_images_of_readings(
			&readings, why, sfd_import_names(p->import), &p->images, &failure);
	if (r == -EOPNOTSUPP) {
		leave_image_out(p, &failure);
		return 0;
	}
	return r < 0 ? splitfd_error_copy(err, r, &failure) : 0;
}

/* Those that this pull has stored and checked. */
static void mark_layers(struct sfd_pull *p)
{
	for (size_t i = 0; sfd_pull_verifies(p) && i < p->n_layers; i++) {
		const struct sfd_pull_layer *l = &p->layers[i];

		if (l->sink != NULL)
			sfd_layer_mark_proven(p->repository, l->diff_id, &l->digest);
	}
}

static void note_replaced(struct sfd_pull *p)
{
	unsigned int n = splitfd_repository_replaced(p->repository);
	char text[96];

	snprintf(text, sizeof(text), "damaged objects of the repository that were replaced: %u", n);
	if (n > 0)
		sfd_pull_note(p, text);
}

int sfd_pull_end(struct sfd_pull *p, struct splitfd_error *err)
{
	bool want_image = !p->options.no_image && !p->images_found;
	struct splitfd_error why = { 0 };
	bool again = want_image && p->options.tree == SFD_TREE_OF_CFSCTL;
	int r;

	r = finish_layers(p, err);
	if (r < 0)
		return r;
	if (want_image && !again) {
		r = make_images(p, &why);
		again = r == -EOPNOTSUPP;
		if (r < 0 && !again)
			return splitfd_error_copy(err, r, &why);
	}
	if (again) {
		drop_images(p);
		r = read_again(p, why.text, err);
		if (r < 0)
			return r;
	}
	r = commit(p, err);
	if (r >= 0) {
		mark_layers(p);
		note_replaced(p);
	}
	sfd_pull_announce(p, SFD_COPY_END, NULL, 0);
	return r;
}

void sfd_pull_get_result(const struct sfd_pull *pull, struct sfd_pull_result *ret)
{
	*ret = (struct sfd_pull_result){ .oci = pull->result,
		.original = pull->original[0] != '\0' ? pull->original : NULL,
		.image = pull->images.has_main ? &pull->images.main : NULL,
		.why_no_image = pull->why_no_image[0] != '\0' ? pull->why_no_image : NULL };
	splitfd_import_stats(pull->import, &ret->stats);
	ret->replaced = splitfd_repository_replaced(pull->repository);
}
