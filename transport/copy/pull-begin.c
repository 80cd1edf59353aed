/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-private.h"
#include "splitfdstream/pump.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/import/import.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/layer-proof.h"
#include "transport/composefs/stream/splitstream.h"
#include "transport/composefs/images/sync-ahead.h"
#include "transport/composefs/tree/tree-layer.h"
#include "transport/containers-storage/store-lock.h"
#include "transport/oci/oci-json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two events of a layer. */
#define NOTIFY_BYTES ((uint64_t)1024 * 1024)

int sfd_pull_new(
	const struct sfd_pull_options *options, struct sfd_pull **ret, struct splitfd_error *err)
{
	struct sfd_pull *p = calloc(1, sizeof(*p));
	struct sfd_lock_options lock;
	int r;

	if (p == NULL)
		return splitfd_error_oom(err);
	p->options = *options;
	if (p->options.name == NULL)
		p->options.name = options->reference;
	p->cancel = options->stop != NULL ? &options->stop->flag : NULL;
	lock = sfd_store_lock_options(&options->store, sfd_pull_cancel_fd(p));
	r = sfd_repository_open(options->repository, true, &lock, &p->repository, err);
	if (r < 0) {
		sfd_pull_free(p);
		return r;
	}
	if (options->repair)
		splitfd_repository_distrust(p->repository);
	*ret = p;
	return 0;
}

struct sfd_pull *sfd_pull_free(struct sfd_pull *p)
{
	if (p == NULL)
		return NULL;
	sfd_pull_tree_free(p->tree); /* whose thread may note a deviation */
	sfd_pull_announce(p, SFD_COPY_END, NULL, 0);
	for (size_t i = 0; i < p->n_layers; i++) {
		splitfd_sink_free(p->layers[i].sink);
		sfd_tree_layer_free(p->layers[i].record);
	}
	splitfd_import_free(p->import);
	splitfd_repository_close(p->repository);
	free(p->layers);
	free(p->diff_ids);
	free(p->manifest);
	free(p->config);
	free(p);
	return NULL;
}

const struct sfd_pull_options *sfd_pull_get_options(const struct sfd_pull *pull)
{
	return &pull->options;
}

void sfd_pull_verify_diff_ids(struct sfd_pull *pull)
{
	pull->always_verify = true;
}

void sfd_pull_blame(struct sfd_pull *pull, const char *text)
{
	pull->blame = text;
}

void sfd_pull_other_writers(struct sfd_pull *pull)
{
	pull->other_writers = true;
}

bool sfd_pull_verifies(const struct sfd_pull *p)
{
	return p->always_verify || p->options.verify_diff_id ||
	       (p->other_writers && !p->options.no_verify_diff_id);
}

struct splitfd_repository *sfd_pull_repository(struct sfd_pull *pull)
{
	return pull->repository;
}

struct splitfd_import *sfd_pull_import(struct sfd_pull *pull)
{
	return pull->import;
}

const volatile int *sfd_pull_cancel_flag(const struct sfd_pull *pull)
{
	return pull->cancel;
}

int sfd_pull_cancel_fd(const struct sfd_pull *pull)
{
	return pull->options.stop != NULL ? pull->options.stop->fd : 0;
}

void sfd_pull_notify(const struct sfd_pull *p, enum sfd_copy_event_kind kind, size_t i,
	uint64_t bytes, uint64_t total)
{
	sfd_copy_notify(p->options.listener, &(struct sfd_copy_event){ .kind = kind,
						     .layer = i,
						     .id = p->layers[i].diff_id,
						     .bytes = bytes,
						     .total = total });
}

void sfd_pull_announce(
	const struct sfd_pull *p, enum sfd_copy_event_kind kind, const char *text, uint64_t total)
{
	sfd_copy_notify(p->options.listener,
		&(struct sfd_copy_event){ .kind = kind, .id = text, .total = total });
}

int sfd_pull_interrupted(const struct sfd_pull *p, struct splitfd_error *err)
{
	if (!sfd_flag_is_set(p->cancel))
		return 0;
	return splitfd_error_set(
		err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted; nothing was made visible");
}

static int copy_layers(
	struct sfd_pull *p, const char *const *diff_ids, size_t n, struct splitfd_error *err)
{
	p->layers = calloc(n + 1, sizeof(*p->layers));
	p->diff_ids = calloc(n + 1, sizeof(*p->diff_ids));
	if (p->layers == NULL || p->diff_ids == NULL)
		return splitfd_error_oom(err);
	p->n_layers = n;
	for (size_t i = 0; i < n; i++) {
		struct sfd_pull_layer *l = &p->layers[i];

		snprintf(l->diff_id, sizeof(l->diff_id), "%s", diff_ids[i]);
		p->diff_ids[i] = l->diff_id;
		for (l->first = 0; strcmp(p->layers[l->first].diff_id, l->diff_id) != 0; l->first++)
			;
	}
	return 0;
}

/* One that is another layer's content is not there: it is read again, and replaced. */
static int prove_layer(struct sfd_pull *p, struct sfd_pull_layer *l, struct splitfd_error *err)
{
	int r = sfd_layer_prove(p->repository, l->diff_id, &l->digest, p->cancel, err);

	if (r != -EBADMSG)
		return r;
	splitfd_error_clear(err);
	/* Or one of its objects is not what its name says. */
	p->repository->distrust = true;
	l->present = false;
	return 0;
}

/* Which layers are there, whole. */
static int look_for_layers(struct sfd_pull *p, struct splitfd_error *err)
{
	for (size_t i = 0; i < p->n_layers; i++) {
		struct sfd_pull_layer *l = &p->layers[i];
		int r;

		if (l->first != i)
			continue;
		r = splitfd_repository_has_layer(p->repository, l->diff_id, &l->digest, err);
		if (r < 0)
			return r;
		l->present = r > 0;
		if (l->present && sfd_pull_verifies(p))
			r = prove_layer(p, l, err);
		if (r < 0)
			return r;
		if (l->present) {
			sfd_import_count_present(p->import);
			sfd_pull_notify(p, SFD_COPY_SKIPPED, i, 0, 0);
		}
	}
	return 0;
}

void sfd_pull_note(void *ctx, const char *text)
{
	sfd_pull_announce(ctx, SFD_COPY_MESSAGE, text, 0);
}

void sfd_pull_original(struct sfd_pull *p, const char *digest)
{
	snprintf(p->original, sizeof(p->original), "%.71s", digest);
}

/* The image itself may be there, whose layers all are. */
static int find_images(struct sfd_pull *p, struct splitfd_error *err)
{
	sfd_cleanup_free struct splitfd_digest *digests = calloc(p->n_layers + 1, sizeof(*digests));

	if (digests == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < p->n_layers; i++)
		digests[i] = p->layers[p->layers[i].first].digest;
	p->images_found = sfd_pull_find_images(p->repository, p->config, p->config_size,
		p->diff_ids, digests, p->n_layers, &p->images);
	return 0;
}

/* An image is made of all layers: those that are present are read while the others come. */
static int begin_tree(struct sfd_pull *p, struct splitfd_error *err)
{
	bool all = true, any = false;
	int r = 0;

	for (size_t i = 0; i < p->n_layers; i++) {
		all = all && p->layers[p->layers[i].first].present;
		any = any || p->layers[i].present;
	}
	if (p->options.no_image)
		return 0;
	/* Which tree an image has that is there, nobody knows. */
	if (all && p->options.tree == SFD_TREE_OF_NEITHER)
		r = find_images(p, err);
	if (r < 0 || p->images_found)
		return r;
	r = sfd_pull_tree_new(
		p->repository, p->diff_ids, p->n_layers, sfd_pull_note, p, &p->tree, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_layers; i++) {
		if (p->layers[i].present)
			sfd_pull_tree_stored(p->tree, i, &p->layers[i].digest);
	}
	if (any)
		sfd_pull_tree_start(p->tree);
	return 0;
}

int sfd_pull_begin(struct sfd_pull *p, const char *manifest, size_t manifest_size,
	const char *config, size_t config_size, const char *const *diff_ids, size_t n_layers,
	struct splitfd_error *err)
{
	struct splitfd_import_options options = { .reflink = p->options.reflink,
		.jobs = (unsigned int)p->options.jobs,
		.verify_diff_id = sfd_pull_verifies(p),
		.foreign_source = p->other_writers,
		.cancel = p->cancel };
	int r;

	r = sfd_oci_image_check(manifest, manifest_size, config, config_size, err);
	if (r < 0)
		return r;
	if (r == 0) /* an artifact, which has no file tree */
		p->options.no_image = true;
	p->manifest = calloc(1, manifest_size + 1);
	p->config = calloc(1, config_size + 1);
	p->manifest_size = manifest_size;
	p->config_size = config_size;
	if (p->manifest == NULL || p->config == NULL)
		return splitfd_error_oom(err);
	memcpy(p->manifest, manifest, manifest_size);
	memcpy(p->config, config, config_size);
	r = copy_layers(p, diff_ids, n_layers, err);
	if (r < 0)
		return r;
	r = splitfd_import_new(p->repository, &options, &p->import, err);
	if (r < 0)
		return r;
	sfd_pull_announce(p, SFD_COPY_BEGIN, NULL, n_layers);
	r = look_for_layers(p, err);
	return r < 0 ? r : begin_tree(p, err);
}

void sfd_pull_layer_size(struct sfd_pull *p, size_t i, uint64_t total)
{
	struct sfd_pull_layer *l = &p->layers[i];

	sfd_pull_notify(p, SFD_COPY_LAYER, i, 0, l->present || l->first != i ? 0 : total);
}

static uint64_t worked(const void *sink)
{
	return sfd_import_layer_worked(sink);
}

int sfd_pull_layer_sink(struct sfd_pull *p, size_t i, uint64_t total, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	struct sfd_pull_layer *l = &p->layers[i];
	int r;

	*ret = NULL;
	if (l->present || l->first != i)
		return 0;
	r = splitfd_import_layer(p->import, l->diff_id, &l->sink, err);
	if (r < 0)
		return r;
	if (!p->options.no_image) {
		r = sfd_tree_layer_new(splitfd_repository_algorithm(p->repository), l->diff_id,
			SFD_TREE_XATTRS_ALLOWLIST, &l->record, err);
		if (r < 0)
			return r;
		sfd_import_layer_listen(l->sink, sfd_tree_layer_listener(l->record));
	}
	l->total = total;
	sfd_pull_layer_size(p, i, total);
	sfd_copy_notify(p->options.listener, &(struct sfd_copy_event){ .kind = SFD_COPY_STARTED,
						     .layer = i,
						     .id = l->diff_id,
						     .total = total,
						     .worked = worked,
						     .worked_ctx = l->sink });
	*ret = l->sink;
	return 0;
}

struct feed {
	struct sfd_pull *pull;
	size_t i;
};

static void count(void *ctx, uint64_t bytes)
{
	const struct feed *feed = ctx;
	struct sfd_pull_layer *l = &feed->pull->layers[feed->i];

	l->bytes += bytes;
	if (l->bytes - l->told < NOTIFY_BYTES)
		return;
	l->told = l->bytes;
	sfd_pull_notify(feed->pull, SFD_COPY_PROGRESS, feed->i, l->bytes, l->total);
}

int sfd_pull_feed(
	struct sfd_pull *p, size_t i, struct splitfd_source *source, struct splitfd_error *err)
{
	struct sfd_pull_layer *l = &p->layers[i];
	struct feed feed = { p, i };
	int r = sfd_pump(source, l->sink, p->cancel, count, &feed, err);

	if (r < 0)
		return r;
	sfd_pull_notify(p, SFD_COPY_DONE, i, l->bytes, l->total);
	sfd_import_layer_end(l->sink);
	return 0;
}
