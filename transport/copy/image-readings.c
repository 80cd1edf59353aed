/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/image-readings.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/erofs/erofs-writer.h"
#include "transport/composefs/images/image-tree.h"
#include "transport/composefs/object-writer.h"
#include "transport/composefs/repository-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONTENT_TYPE "sfd_objs"

SFD_DEFINE_CLEANUP(cleanup_readings_layer, struct sfd_tree_layer, sfd_tree_layer_free);
SFD_DEFINE_CLEANUP(cleanup_readings_tree, struct sfd_tree, sfd_tree_free);
SFD_DEFINE_CLEANUP(
	cleanup_readings_writer, struct sfd_splitstream_writer, sfd_splitstream_writer_free);
SFD_DEFINE_CLEANUP(cleanup_readings_object, struct sfd_object_writer, sfd_object_writer_free);

int sfd_tree_choice_parse(const char *word, enum sfd_tree_choice *ret, struct splitfd_error *err)
{
	*ret = SFD_TREE_OF_NEITHER;
	if (word == NULL)
		return 0;
	if (strcmp(word, "podman") == 0)
		*ret = SFD_TREE_OF_PODMAN;
	else if (strcmp(word, "cfsctl") == 0)
		*ret = SFD_TREE_OF_CFSCTL;
	else
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--tree takes podman or cfsctl, not '%s'", word);
	return 0;
}

static int apply(const struct sfd_readings *readings, const struct sfd_reread *how, size_t i,
	struct sfd_tree *tree, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_readings_layer) struct sfd_tree_layer *layer = NULL;
	int r;

	r = sfd_tree_layer_reread(how, &readings->streams[i], readings->diff_ids[i], &layer, err);
	return r < 0 ? r : sfd_tree_apply(tree, layer, err);
}

/* The tree by the rules of one program; -EOPNOTSUPP or -EINVAL where it refuses the image. */
static int make_tree(const struct sfd_readings *readings, enum sfd_tar_rules rules,
	struct sfd_digest_table *objects, struct sfd_tree **ret, struct splitfd_error *err)
{
	const struct sfd_reread how = { readings->repository, readings->xattrs, rules,
		readings->store ? objects : NULL };
	sfd_cleanup(cleanup_readings_tree) struct sfd_tree *tree = NULL;
	int r;

	r = sfd_tree_new(splitfd_repository_algorithm(readings->repository), &tree, err);
	if (r < 0)
		return r;
	sfd_tree_set_rules(tree, rules);
	if (rules == SFD_TAR_OF_PODMAN)
		sfd_tree_on_deviation(tree, readings->told, readings->ctx);
	for (size_t i = 0; r == 0 && i < readings->n_layers; i++)
		r = apply(readings, &how, i, tree, err);
	if (r == 0)
		r = sfd_tree_finish_oci(tree, readings->xattrs, err);
	if (r == 0 && sfd_tree_refused(tree))
		r = splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"cfsctl does not take the layers of this image");
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&tree);
	return 0;
}

static bool is_refusal(int r)
{
	return r == -EOPNOTSUPP || r == -EINVAL || r == -EILSEQ || r == -EFBIG;
}

/* Both trees are there: the same image? */
static int compare(const struct sfd_readings *readings, const struct sfd_tree *podman,
	const struct sfd_tree *cfsctl, struct splitfd_error *err)
{
	struct splitfd_digest a, b;
	int formats[SFD_IMAGE_FORMATS], r;

	sfd_image_formats(readings->repository, formats);
	r = sfd_erofs_digest(podman, formats[0], &a, err);
	if (r == 0)
		r = sfd_erofs_digest(cfsctl, formats[0], &b, err);
	return r < 0 ? r : splitfd_digest_equal(&a, &b);
}

static int two_readings(const char *why, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
		"%s; --tree=podman or --tree=cfsctl makes one", why);
}

/* cfsctl's tree is the only one: now with its files. */
static int keep_cfsctl(const struct sfd_readings *readings, struct sfd_digest_table *objects,
	struct sfd_tree **cfsctl, struct sfd_tree **ret, struct splitfd_error *err)
{
	if (readings->store)
		return make_tree(readings, SFD_TAR_OF_CFSCTL, objects, ret, err);
	*ret = sfd_take_ptr(cfsctl);
	return 0;
}

/* Both programs are asked; -EOPNOTSUPP where there are two trees. */
static int choose(const struct sfd_readings *readings, const char *why,
	struct sfd_digest_table *objects, struct sfd_tree **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_readings_tree) struct sfd_tree *podman = NULL, *cfsctl = NULL;
	struct splitfd_error podman_error = { 0 }, cfsctl_error = { 0 };
	int r_podman, r_cfsctl, same;

	r_podman = make_tree(readings, SFD_TAR_OF_PODMAN, objects, &podman, &podman_error);
	r_cfsctl = make_tree(readings, SFD_TAR_OF_CFSCTL, NULL, &cfsctl, &cfsctl_error);
	if (r_podman < 0 && (r_cfsctl < 0 || !is_refusal(r_podman)))
		return splitfd_error_copy(err, r_podman, &podman_error);
	if (r_cfsctl < 0 && !is_refusal(r_cfsctl))
		return splitfd_error_copy(err, r_cfsctl, &cfsctl_error);
	if (r_podman == 0 && r_cfsctl == 0) {
		same = compare(readings, podman, cfsctl, err);
		if (same <= 0)
			return same < 0 ? same : two_readings(why, err);
	}
	if (podman == NULL)
		return keep_cfsctl(readings, objects, &cfsctl, ret, err);
	*ret = sfd_take_ptr(&podman);
	return 0;
}

int sfd_image_tree_of_readings(const struct sfd_readings *readings, const char *why,
	struct sfd_digest_table *objects, struct sfd_tree **ret, struct splitfd_error *err)
{
	int r;

	if (readings->choice == SFD_TREE_OF_NEITHER)
		return choose(readings, why, objects, ret, err);
	r = make_tree(readings,
		readings->choice == SFD_TREE_OF_PODMAN ? SFD_TAR_OF_PODMAN : SFD_TAR_OF_CFSCTL,
		objects, ret, err);
	/* The layers are right by themselves. */
	if (is_refusal(r)) {
		r = -EOPNOTSUPP;
		if (err != NULL)
			err->errnum = EOPNOTSUPP;
	}
	return r;
}

static int tree_of_stored(const struct sfd_readings *readings,
	const struct sfd_oci_document *config, const char *why, struct sfd_tree **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free struct splitfd_digest *streams =
		calloc(readings->n_layers + 1, sizeof(*streams));
	struct sfd_readings all = *readings;

	if (streams == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < all.n_layers; i++)
		if (!sfd_splitstream_find_ref(config->reader, all.diff_ids[i], &streams[i]))
			return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
				"the stored config has no reference to its layer %s",
				all.diff_ids[i]);
	all.streams = streams;
	return sfd_image_tree_of_readings(&all, why, NULL, ret, err);
}

int sfd_image_tree_of_choice(const struct sfd_readings *readings,
	const struct sfd_oci_document *config, const struct sfd_oci_config *facts,
	struct sfd_tree **ret, struct splitfd_error *err)
{
	struct sfd_readings all = *readings;
	struct splitfd_error why = { 0 };
	int r = -EOPNOTSUPP;

	all.diff_ids = (const char *const *)facts->diff_ids;
	all.n_layers = facts->n_diff_ids;
	if (all.choice != SFD_TREE_OF_CFSCTL)
		r = sfd_image_tree(
			all.repository, config, facts, all.xattrs, all.told, all.ctx, ret, &why);
	if (r == -EOPNOTSUPP)
		return tree_of_stored(&all, config, why.text, ret, err);
	return r < 0 ? splitfd_error_copy(err, r, &why) : r;
}

int sfd_image_objects_stream(struct splitfd_repository *repository,
	const struct sfd_digest_table *objects, struct sfd_names *names, struct splitfd_digest *ret,
	struct splitfd_error *err)
{
	sfd_cleanup(cleanup_readings_writer) struct sfd_splitstream_writer *w = NULL;
	sfd_cleanup(cleanup_readings_object) struct sfd_object_writer *object = NULL;
	char name[16 + 2 * SPLITFD_DIGEST_MAX + 1] = "streams/sfd-obj-";
	enum sfd_object_how how;
	int r;

	r = sfd_splitstream_writer_new(
		repository->algorithm, CONTENT_TYPE, repository->fd, &w, err);
	for (size_t i = 0; r == 0 && i < objects->n; i++) {
		struct splitfd_digest digest;
		uint64_t size;
		int fd;

		sfd_digest_table_get(objects, i, &digest);
		r = sfd_object_open(repository, &digest, &fd, &size, err);
		if (r == 0)
			r = sfd_splitstream_object(w, &digest, size, err);
		if (r == 0)
			sfd_close(fd);
	}
	if (r == 0)
		r = sfd_object_writer_new(repository, &object, err);
	if (r == 0)
		r = sfd_splitstream_finish_to(w, sfd_object_writer_add, object, err);
	if (r == 0)
		r = sfd_object_writer_finish(object, ret, &how, err);
	if (r < 0)
		return r;
	splitfd_digest_hex(ret, name + strlen(name));
	r = sfd_names_add_object(names, name, ret, SFD_NAME_REPLACE, err);
	return r < 0 ? r : 0;
}
