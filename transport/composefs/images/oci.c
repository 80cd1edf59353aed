/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/oci.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/images/config-images.h"
#include "transport/composefs/images/oci-read.h"
#include "transport/composefs/images/realign.h"
#include "transport/composefs/object-check.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/images/tags.h"

#include <fcntl.h>
#include <string.h>

#define LAYER_NAME    "streams/oci-layer-"
#define CONFIG_NAME   "streams/oci-config-"
#define MANIFEST_NAME "streams/oci-manifest-"
#define NAME_SIZE     256
#define MAX_RACES     16

SFD_DEFINE_CLEANUP(cleanup_writer_, struct sfd_splitstream_writer, sfd_splitstream_writer_free);

/* One commit. */
struct commit {
	struct splitfd_repository *repository;
	struct sfd_names *names;
	const struct sfd_oci_image *image;
	struct sfd_oci_result *result;
	const char *manifest; /* converted */
	size_t manifest_size;
	struct sfd_oci_manifest manifest_facts;
	struct sfd_oci_config config_facts;
	char *const *layers; /* what the streams refer to: diff_ids, an artifact's blobs */
	size_t n_layers;
	struct splitfd_digest *digests; /* n_layers: what the streams in the making say of them */
	struct sfd_oci_document old;
};

/* The digest that a layer has: the one to be made, else the one that is there. */
static int layer_digest(
	struct commit *c, const char *id, struct splitfd_digest *ret, struct splitfd_error *err)
{
	char name[NAME_SIZE];
	int i, r;

	snprintf(name, sizeof(name), LAYER_NAME "%s", id);
	i = sfd_names_find(c->names, name);
	if (i >= 0) {
		sfd_names_digest(c->names, (size_t)i, ret);
		return 0;
	}
	r = sfd_name_read(c->repository, name, ret, err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"layer %s is not in the repository %s", id, c->repository->path);
	return r < 0 ? r : 0;
}

static int look_up_layers(struct commit *c, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_layers; i++)
		r = layer_digest(c, c->layers[i], &c->digests[i], err);
	return r;
}

static int add_layer_refs(
	struct commit *c, struct sfd_splitstream_writer *w, struct splitfd_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_layers; i++)
		r = sfd_splitstream_ref(w, c->layers[i], &c->digests[i], err);
	return r;
}

/* The one object of a config or manifest; then the stream itself becomes an object. */
static int put_document(struct commit *c, struct sfd_splitstream_writer *w, const char *json,
	size_t size, struct splitfd_digest *ret, struct splitfd_error *err)
{
	sfd_cleanup_free char *file = NULL;
	struct splitfd_digest object;
	enum sfd_object_how how;
	size_t file_size = 0;
	int r = sfd_object_put_bytes(c->repository, json, size, &object, &how, err);

	if (r == 0)
		r = sfd_splitstream_object(w, &object, size, err);
	if (r == 0)
		r = sfd_splitstream_finish(w, &file, &file_size, err);
	if (r == 0)
		r = sfd_object_put_bytes(c->repository, file, file_size, ret, &how, err);
	return r;
}

static bool is_given(const struct commit *c, const char *name)
{
	for (size_t i = 0; i < c->image->n_images; i++) {
		if (strcmp(c->image->images[i].name, name) == 0)
			return true;
	}
	return false;
}

/* One EROFS reference: the given one, else the old config's, if its image is still there. */
static int add_erofs_ref(struct commit *c, struct sfd_splitstream_writer *w, const char *name,
	struct splitfd_error *err)
{
	struct splitfd_digest digest;
	int r;

	for (size_t i = 0; i < c->image->n_images; i++) {
		if (strcmp(c->image->images[i].name, name) == 0)
			return sfd_splitstream_ref(w, name, &c->image->images[i].digest, err);
	}
	if (c->old.reader == NULL || !sfd_splitstream_find_ref(c->old.reader, name, &digest))
		return 0;
	r = sfd_object_verify(c->repository, &digest, err);
	return r <= 0 ? r : sfd_splitstream_ref(w, name, &digest, err);
}

/* V2, V1, then the boot images: the given ones as they come, then the old config's. */
static int add_erofs_refs(
	struct commit *c, struct sfd_splitstream_writer *w, struct splitfd_error *err)
{
	const struct sfd_splitstream_ref *old = NULL;
	size_t n_old = 0;
	int r = add_erofs_ref(c, w, SFD_IMAGE_REF, err);

	if (r == 0)
		r = add_erofs_ref(c, w, SFD_IMAGE_REF ".v1", err);
	for (size_t i = 0; r == 0 && i < c->image->n_images; i++)
		r = sfd_splitstream_ref(
			w, c->image->images[i].name, &c->image->images[i].digest, err);
	if (c->old.reader != NULL)
		old = sfd_splitstream_refs(c->old.reader, &n_old);
	for (size_t i = 0; r == 0 && i < n_old; i++) {
		if (sfd_is_image_ref(old[i].name) && !is_given(c, old[i].name))
			r = add_erofs_ref(c, w, old[i].name, err);
	}
	return r;
}

static int put_config(struct commit *c, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_writer_) struct sfd_splitstream_writer *w = NULL;
	char name[NAME_SIZE];
	int r = sfd_splitstream_writer_new(
		c->repository->algorithm, SFD_STREAM_CONFIG, c->repository->fd, &w, err);

	if (r == 0)
		r = add_layer_refs(c, w, err);
	if (r == 0 && c->manifest_facts.container)
		r = add_erofs_refs(c, w, err);
	if (r == 0)
		r = put_document(
			c, w, c->image->config, c->image->config_size, &c->result->config, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), CONFIG_NAME "%s", c->result->config_digest);
	r = sfd_names_add_object(c->names, name, &c->result->config, SFD_NAME_REPLACE, err);
	return r < 0 ? r : 0;
}

static int put_manifest(struct commit *c, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_writer_) struct sfd_splitstream_writer *w = NULL;
	char name[NAME_SIZE];
	int r = sfd_splitstream_writer_new(
		c->repository->algorithm, SFD_STREAM_MANIFEST, c->repository->fd, &w, err);

	snprintf(name, sizeof(name), "config:%s", c->result->config_digest);
	if (r == 0)
		r = sfd_splitstream_ref(w, name, &c->result->config, err);
	if (r == 0)
		r = add_layer_refs(c, w, err);
	if (r == 0)
		r = put_document(c, w, c->manifest, c->manifest_size, &c->result->manifest, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), MANIFEST_NAME "%s", c->result->manifest_digest);
	r = sfd_names_add_object(c->names, name, &c->result->manifest, SFD_NAME_REPLACE, err);
	return r < 0 ? r : 0;
}

/* Other manifests of this config, and whatever refers to a layer that was repaired. */
static int realign(struct commit *c, struct splitfd_error *err)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), MANIFEST_NAME "%s", c->result->manifest_digest);
	return sfd_realign(c->repository, c->names, name, err);
}

static int put_tag(struct commit *c, struct splitfd_error *err)
{
	sfd_cleanup_free char *tag = NULL;
	char target[NAME_SIZE];
	int r;

	if (c->image->tag == NULL)
		return 0;
	r = sfd_tag_name(c->image->tag, &tag, err);
	if (r < 0)
		return r;
	snprintf(target, sizeof(target), MANIFEST_NAME "%s", c->result->manifest_digest);
	r = sfd_names_add_ref(c->names, tag, target, err);
	return r < 0 ? r : 0;
}

/* The config's stream as it is now; one that cannot be read is simply replaced. */
static int read_old_config(struct commit *c, struct splitfd_error *err)
{
	struct splitfd_digest stream;
	char name[NAME_SIZE];
	int r;

	sfd_oci_document_done(&c->old);
	snprintf(name, sizeof(name), CONFIG_NAME "%s", c->result->config_digest);
	if (sfd_name_read(c->repository, name, &stream, NULL) <= 0)
		return 0;
	r = sfd_oci_document_read(c->repository, &stream, SFD_STREAM_CONFIG, &c->old, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		sfd_oci_document_done(&c->old);
	return 0;
}

static int check_facts(struct commit *c, struct splitfd_error *err)
{
	int r = sfd_oci_manifest_parse(
		c->manifest, c->manifest_size, SFD_OCI_REPOSITORY, &c->manifest_facts, err);

	if (r < 0)
		return r;
	r = splitfd_sha256_text(c->manifest, c->manifest_size, c->result->manifest_digest, err);
	if (r == 0)
		r = splitfd_sha256_text(
			c->image->config, c->image->config_size, c->result->config_digest, err);
	if (r < 0)
		return r;
	c->result->container = c->manifest_facts.container;
	if (strcmp(c->result->config_digest, c->manifest_facts.config_digest) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the config is not the manifest's: its digest is %s, the manifest says %s",
			c->result->config_digest, c->manifest_facts.config_digest);
	if (!c->manifest_facts.container) {
		c->layers = c->manifest_facts.layers;
		c->n_layers = c->manifest_facts.n_layers;
		return 0;
	}
	r = sfd_oci_config_parse(
		c->image->config, c->image->config_size, SFD_OCI_REPOSITORY, &c->config_facts, err);
	c->layers = c->config_facts.diff_ids;
	c->n_layers = c->config_facts.n_diff_ids;
	return r;
}

/* Images of the old config that were made of other layers are not this image's. */
static int forget_old_images(struct commit *c, struct splitfd_error *err)
{
	sfd_cleanup_free struct sfd_splitstream_ref *now = calloc(c->n_layers + 1, sizeof(*now));
	int r;

	if (now == NULL)
		return splitfd_error_oom(err);
	for (size_t i = 0; i < c->n_layers; i++)
		now[i] = (struct sfd_splitstream_ref){ c->layers[i], c->digests[i] };
	r = c->old.reader == NULL
		    ? 1
		    : sfd_image_refs_hold(c->repository, c->old.reader, now, c->n_layers, err);
	if (r == 0)
		sfd_oci_document_done(&c->old);
	return r < 0 ? r : 0;
}

static int add_all(struct commit *c, struct splitfd_error *err)
{
	int r = sfd_names_settle(c->names, err);

	if (r == 0)
		r = look_up_layers(c, err);
	if (r == 0)
		r = forget_old_images(c, err);
	if (r == 0)
		r = put_config(c, err);
	if (r == 0)
		r = realign(c, err);
	if (r == 0)
		r = put_manifest(c, err);
	return r < 0 ? r : put_tag(c, err);
}

/* True where the name does not lead to `digest`. */
static bool is_moved(
	struct commit *c, const char *prefix, const char *id, const struct splitfd_digest *digest)
{
	struct splitfd_digest now;
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s%s", prefix, id);
	return sfd_name_read(c->repository, name, &now, NULL) <= 0 ||
	       !splitfd_digest_equal(&now, digest);
}

/* cfsctl repoints a layer's name to its own encoding, and a config's to one that refers to it, when
 * its pull began before ours had made the names. Its gc would then not walk what ours refers to. */
static bool something_moved(struct commit *c)
{
	for (size_t i = 0; i < c->n_layers; i++) {
		if (is_moved(c, LAYER_NAME, c->layers[i], &c->digests[i]))
			return true;
	}
	return is_moved(c, CONFIG_NAME, c->result->config_digest, &c->result->config) ||
	       is_moved(c, MANIFEST_NAME, c->result->manifest_digest, &c->result->manifest);
}

/* One round. 0: all is made and holds; 1: another is needed. */
static int commit_once(struct commit *c, size_t before, struct splitfd_error *err)
{
	int r = read_old_config(c, err);

	if (r == 0)
		r = add_all(c, err);
	if (r == 0)
		r = sfd_names_commit(c->names, err);
	if (r == 0 && !something_moved(c))
		return 0;
	sfd_names_truncate(c->names, before);
	return r < 0 ? r : 1;
}

static int commit_all(struct commit *c, struct splitfd_error *err)
{
	size_t before = sfd_names_count(c->names);
	int r = check_facts(c, err);

	if (r == 0) {
		c->digests = calloc(c->n_layers + 1, sizeof(*c->digests));
		r = c->digests == NULL ? splitfd_error_oom(err) : 1;
	}
	for (int i = 0; r == 1 && i < MAX_RACES; i++)
		r = commit_once(c, before, err);
	if (r != 1)
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EAGAIN,
		"another program keeps changing the layers of this image; try again");
}

int sfd_oci_commit(struct splitfd_repository *repository, struct sfd_names *names,
	const struct sfd_oci_image *image, struct sfd_oci_result *ret, struct splitfd_error *err)
{
	struct commit c = { .repository = repository, .names = names, .image = image };
	sfd_cleanup_free char *converted = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	c.result = ret;
	c.manifest = image->manifest;
	c.manifest_size = image->manifest_size;
	r = sfd_oci_convert_docker(
		image->manifest, image->manifest_size, &converted, &c.manifest_size, err);
	if (r < 0)
		return r;
	if (r > 0) {
		c.manifest = converted;
		ret->converted = true;
	}
	r = commit_all(&c, err);
	sfd_oci_document_done(&c.old);
	sfd_oci_manifest_done(&c.manifest_facts);
	sfd_oci_config_done(&c.config_facts);
	free(c.digests);
	return r;
}
