/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/layer-origin.h"
#include "transport/copy/needs.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/images/tags.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/layer-whole.h"
#include "transport/containers-storage/store-lock.h"
#include "transport/tar/tar-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COMPOSEFS "composefs:"
#define TAR	  "tar:"

static int open_tar(const struct sfd_origin_options *options, const char *rest,
	struct sfd_origin *o, struct splitfd_error *err)
{
	if (strcmp(rest, "-") != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'tar:%s': a tar is read from standard input only: tar:-", rest);
	sfd_announce_needs(options->confine, &(struct sfd_needs){ .objects = options->objects });
	o->tar = true;
	o->n_layers = 1;
	return 0;
}

static int open_composefs(const struct sfd_origin_options *options, const char *name,
	struct sfd_origin *o, struct splitfd_error *err)
{
	struct sfd_lock_options lock = sfd_store_lock_options(&options->store, o->cancel_fd);
	sfd_cleanup_free char *manifest = NULL;
	int r = sfd_repository_open(options->repository, false, &lock, &o->repository, err);

	if (r < 0)
		return r;
	sfd_announce_needs(options->confine, &(struct sfd_needs){ .read_rules = true,
						     .repository = o->repository,
						     .objects = options->objects });
	r = sfd_tag_resolve(o->repository, name, &manifest, err);
	if (r >= 0)
		r = sfd_oci_stored_read(o->repository, manifest, &o->stored, err);
	if (r < 0)
		return r;
	if (!o->stored.manifest_facts.container)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"'%s' is an artifact, its layers are not tars", name);
	o->n_layers = o->stored.config_facts.n_diff_ids;
	return 0;
}

static int open_store(struct sfd_origin_options *options, const char *reference,
	struct sfd_origin *o, struct splitfd_error *err)
{
	sfd_cleanup_free char *spec = NULL;
	const char *rest;
	int r;

	options->store.cancel_fd = o->cancel_fd;
	r = splitfd_store_parse_reference(reference, &options->store, &spec, &rest, err);
	if (r >= 0)
		r = splitfd_store_open(&options->store, &o->store, err);
	if (r < 0)
		return r;
	sfd_announce_needs(options->confine, &(struct sfd_needs){ .read_rules = true,
						     .store = o->store,
						     .objects = options->objects,
						     .spool = true });
	r = splitfd_image_open(o->store, rest,
		rest == reference ? SPLITFD_LOOKUP_PODMAN : SPLITFD_LOOKUP_BOTH, &o->image, err);
	if (r >= 0)
		o->n_layers = splitfd_image_n_layers(o->image);
	return r;
}

bool sfd_origin_is_stored(const char *image)
{
	return strncmp(image, COMPOSEFS, strlen(COMPOSEFS)) == 0;
}

int sfd_origin_open(struct sfd_origin_options *options, const char *image, struct sfd_origin *ret,
	struct splitfd_error *err)
{
	*ret = (struct sfd_origin){ .timeout_ms = options->timeout_ms,
		.cancel_fd = options->stop != NULL ? options->stop->fd : 0 };
	if (strncmp(image, TAR, strlen(TAR)) == 0)
		return open_tar(options, image + strlen(TAR), ret, err);
	if (sfd_origin_is_stored(image))
		return open_composefs(options, image + strlen(COMPOSEFS), ret, err);
	return open_store(options, image, ret, err);
}

void sfd_origin_done(struct sfd_origin *o)
{
	splitfd_image_close(o->image);
	splitfd_store_close(o->store);
	sfd_oci_stored_done(&o->stored);
	splitfd_repository_close(o->repository);
	*o = (struct sfd_origin){ 0 };
}

static int find_stored(
	const struct sfd_oci_stored *s, const char *layer, size_t *ret, struct splitfd_error *err)
{
	size_t n = s->config_facts.n_diff_ids;
	uint64_t index;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(s->config_facts.diff_ids[i], layer) == 0 ||
			(i < s->manifest_facts.n_layers &&
				strcmp(s->manifest_facts.layers[i], layer) == 0)) {
			*ret = i;
			return 0;
		}
	}
	if (n > 0 && sfd_parse_u64(layer, n - 1, &index)) {
		*ret = (size_t)index;
		return 0;
	}
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"no layer '%s' in this image of %zu layers", layer, n);
}

int sfd_origin_find(struct sfd_origin *o, const char *layer, size_t *ret, struct splitfd_error *err)
{
	if (o->image != NULL)
		return splitfd_image_find_layer(o->image, layer, ret, err);
	if (o->repository != NULL)
		return find_stored(&o->stored, layer, ret, err);
	if (sfd_parse_sha256(layer, NULL))
		snprintf(o->tar_diff_id, sizeof(o->tar_diff_id), "%s", layer);
	else if (strcmp(layer, "0") != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"a tar is one layer: 0, or its diff_id (sha256:HEX), not '%s'", layer);
	*ret = 0;
	return 0;
}

const char *sfd_origin_diff_id(const struct sfd_origin *o, size_t i)
{
	if (o->image != NULL)
		return splitfd_image_layer(o->image, i)->diff_id;
	if (o->repository != NULL)
		return o->stored.config_facts.diff_ids[i];
	return o->tar_diff_id[0] != '\0' ? o->tar_diff_id : NULL;
}

static int layer_of_repository(
	struct sfd_origin *o, size_t i, struct splitfd_source **ret, struct splitfd_error *err)
{
	const char *diff_id = sfd_origin_diff_id(o, i);
	struct splitfd_digest digest;
	int r = splitfd_repository_has_layer(o->repository, diff_id, &digest, err);

	if (r == 0)
		return sfd_layer_not_found(o->repository, diff_id, err);
	return r < 0 ? r : sfd_splitstream_source_new(o->repository, &digest, ret, err);
}

static int layer_of_stdin(
	const struct sfd_origin *o, struct splitfd_source **ret, struct splitfd_error *err)
{
	const struct sfd_tar_source_options options = { .spool_dir = -EBADF };
	struct splitfd_source *bytes;
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), r;

	if (fd < 0)
		return splitfd_error_sys(err, errno, "standard input");
	r = sfd_archive_source_new(fd, o->timeout_ms, o->cancel_fd, &bytes, err);
	return r < 0 ? r : sfd_tar_source_new(bytes, &options, ret, err);
}

int sfd_origin_layer(
	struct sfd_origin *o, size_t i, struct splitfd_source **ret, struct splitfd_error *err)
{
	if (o->image != NULL)
		return splitfd_image_open_layer(o->image, i, ret, err);
	if (o->repository != NULL)
		return layer_of_repository(o, i, ret, err);
	return layer_of_stdin(o, ret, err);
}
