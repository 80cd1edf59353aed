/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-image.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/erofs/erofs-writer.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/object-writer.h"
#include "transport/composefs/images/config-images.h"
#include "transport/composefs/images/oci.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"

#include <stdio.h>
#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_object, struct sfd_object_writer, sfd_object_writer_free);

SFD_DEFINE_CLEANUP(cleanup_image_tree, struct sfd_tree, sfd_tree_free);

/* The name of the reference for a format. */
static const char *image_name(int format)
{
	return format == 2 ? "composefs.image" : "composefs.image.v1";
}

static void want(struct sfd_pull_images *images, int format)
{
	const char *name = image_name(format);

	for (size_t i = 0; i < images->n; i++) {
		if (strcmp(images->rows[i].name, name) == 0)
			return;
	}
	if (images->n < SFD_PULL_IMAGES_MAX)
		snprintf(images->rows[images->n++].name, sizeof(images->rows[0].name), "%s", name);
}

/* The names that the repository's formats ask for, without digests. cfsctl refers to the V2 image
 * first, whatever the default is. */
static void images_wanted(const struct splitfd_repository *repository, struct sfd_pull_images *ret)
{
	bool formats[3] = { false, false, false };

	memset(ret, 0, sizeof(*ret));
	formats[repository->erofs_default] = true;
	for (size_t i = 0; i < repository->n_erofs_extra; i++)
		formats[repository->erofs_extra[i]] = true;
	for (int format = 2; format >= 0; format--) {
		if (formats[format])
			want(ret, format);
	}
}

static const struct splitfd_digest *find_ref(
	const struct sfd_splitstream_ref *refs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(refs[i].name, name) == 0)
			return &refs[i].digest;
	}
	return NULL;
}

/* The image's object is there, whole, and has its name in images/. */
static bool image_is_there(
	struct splitfd_repository *repository, const struct splitfd_digest *digest)
{
	char name[7 + 2 * SPLITFD_DIGEST_MAX + 1] = "images/";
	struct splitfd_digest target;

	splitfd_digest_hex(digest, name + 7);
	return sfd_name_read(repository, name, &target, NULL) == 1 &&
	       splitfd_digest_equal(digest, &target) &&
	       sfd_object_verify(repository, digest, NULL) == 1;
}

/* The image of the repository's default format. */
static bool is_main(const struct splitfd_repository *repository, const char *name)
{
	return strcmp(name, image_name(repository->erofs_default)) == 0;
}

static bool refs_are_whole(struct splitfd_repository *repository,
	const struct sfd_splitstream_ref *refs, size_t n_refs, const char *const *diff_ids,
	const struct splitfd_digest *layers, size_t n_layers, struct sfd_pull_images *images)
{
	for (size_t i = 0; i < n_layers; i++) {
		const struct splitfd_digest *ref = find_ref(refs, n_refs, diff_ids[i]);

		if (ref == NULL || !splitfd_digest_equal(ref, &layers[i]))
			return false;
	}
	for (size_t i = 0; i < images->n; i++) {
		const struct splitfd_digest *ref = find_ref(refs, n_refs, images->rows[i].name);

		if (ref == NULL || !image_is_there(repository, ref))
			return false;
		images->rows[i].digest = *ref;
		if (is_main(repository, images->rows[i].name)) {
			images->main = *ref;
			images->has_main = true;
		}
	}
	return true;
}

bool sfd_pull_find_images(struct splitfd_repository *repository, const char *config,
	size_t config_size, const char *const *diff_ids, const struct splitfd_digest *layers,
	size_t n_layers, struct sfd_pull_images *ret)
{
	char name[19 + 72] = "streams/oci-config-";
	struct splitfd_digest digest;
	struct sfd_splitstream *stream = NULL;
	const struct sfd_splitstream_ref *refs;
	bool whole;
	size_t n;

	images_wanted(repository, ret);
	if (splitfd_sha256_text(config, config_size, name + strlen(name), NULL) < 0 ||
		sfd_name_read(repository, name, &digest, NULL) != 1 ||
		sfd_splitstream_open(repository, &digest, SFD_STREAM_CONFIG, &stream, NULL) < 0)
		return false;
	refs = sfd_splitstream_refs(stream, &n);
	whole = refs_are_whole(repository, refs, n, diff_ids, layers, n_layers, ret);
	sfd_splitstream_free(stream);
	return whole;
}

static int store_image(struct splitfd_repository *repository, const struct sfd_tree *tree,
	int format, struct sfd_names *names, struct splitfd_digest *ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_object) struct sfd_object_writer *object = NULL;
	char name[7 + 2 * SPLITFD_DIGEST_MAX + 1] = "images/";
	enum sfd_object_how how;
	int r;

	r = sfd_object_writer_new(repository, &object, err);
	if (r == 0)
		r = sfd_erofs_write(tree, format, NULL, sfd_object_writer_add, object, err);
	if (r == 0)
		r = sfd_object_writer_finish(object, ret, &how, err);
	if (r < 0)
		return r;
	splitfd_digest_hex(ret, name + 7);
	r = sfd_names_add_object(names, name, ret, SFD_NAME_REPLACE, err);
	return r < 0 ? r : 0;
}

int sfd_pull_make_images(struct splitfd_repository *repository, const struct sfd_tree *tree,
	struct sfd_names *names, struct sfd_pull_images *ret, struct splitfd_error *err)
{
	images_wanted(repository, ret);
	for (size_t i = 0; i < ret->n; i++) {
		int format = strcmp(ret->rows[i].name, image_name(2)) == 0 ? 2 : 1;
		int r = store_image(repository, tree, format, names, &ret->rows[i].digest, err);

		if (r < 0)
			return r;
		if (is_main(repository, ret->rows[i].name)) {
			ret->main = ret->rows[i].digest;
			ret->has_main = true;
		}
	}
	return 0;
}

static int make_of_tree(const struct sfd_readings *readings, const char *why,
	struct sfd_digest_table *objects, struct sfd_names *names, struct sfd_pull_images *ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_image_tree) struct sfd_tree *tree = NULL;
	int r = sfd_image_tree_of_readings(readings, why, objects, &tree, err);

	if (r == 0)
		r = sfd_pull_make_images(readings->repository, tree, names, ret, err);
	if (r < 0 || objects->n == 0 || ret->n == SFD_PULL_IMAGES_MAX)
		return r;
	r = sfd_image_objects_stream(
		readings->repository, objects, names, &ret->rows[ret->n].digest, err);
	if (r < 0)
		return r;
	snprintf(ret->rows[ret->n].name, sizeof(ret->rows[0].name), SFD_IMAGE_OBJECTS_REF);
	ret->n++;
	return 0;
}

int sfd_pull_make_images_of_readings(const struct sfd_readings *readings, const char *why,
	struct sfd_names *names, struct sfd_pull_images *ret, struct splitfd_error *err)
{
	struct sfd_digest_table objects;
	int r;

	sfd_digest_table_init(&objects, splitfd_repository_algorithm(readings->repository));
	r = make_of_tree(readings, why, &objects, names, ret, err);
	sfd_digest_table_done(&objects);
	return r;
}
