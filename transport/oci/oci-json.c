/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/oci-json.h"
#include "splitfdstream/base/cleanup.h"

#include <string.h>

static int refuse(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, "%s", why);
}

/* A member's string; NULL where it is not there, or null. */
static int take_text(
	struct sfd_json_value object, const char *name, char **ret, struct splitfd_error *err)
{
	struct sfd_json_value v;
	int r;

	*ret = NULL;
	if (!sfd_json_find(object, name, &v) || sfd_json_kind(v) != SFD_JSON_STRING)
		return 0;
	r = sfd_json_text(v, ret, NULL);
	if (r == -EBADMSG)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"a member '%s' holds a NUL or half a pair of surrogates", name);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; list != NULL && i < n; i++)
		free(list[i]);
	free(list);
}

static int take_layers(
	struct sfd_json_value layers, struct sfd_oci_manifest *ret, struct splitfd_error *err)
{
	struct sfd_json_items items = sfd_json_items(layers);
	size_t n = sfd_json_count(layers);
	struct sfd_json_value layer;

	ret->layers = calloc(n + 1, sizeof(*ret->layers));
	ret->layer_types = calloc(n + 1, sizeof(*ret->layer_types));
	if (ret->layers == NULL || ret->layer_types == NULL)
		return splitfd_error_oom(err);
	while (sfd_json_next(&items, NULL, &layer)) {
		size_t i = ret->n_layers++;
		int r = take_text(layer, "digest", &ret->layers[i], err);

		if (r == 0)
			r = take_text(layer, "mediaType", &ret->layer_types[i], err);
		if (r < 0)
			return r;
		if (ret->layers[i] == NULL)
			return refuse(err, "the manifest has a layer without a digest");
	}
	return 0;
}

static bool has(struct sfd_json_value object, const char *name)
{
	struct sfd_json_value v;

	return sfd_json_find(object, name, &v);
}

static bool member_is(struct sfd_json_value object, const char *name, const char *text)
{
	struct sfd_json_value v;

	return sfd_json_find(object, name, &v) && sfd_json_is(v, text);
}

/* The member is one of two texts, or not there, or empty. */
static bool member_is_of(
	struct sfd_json_value object, const char *name, const char *one, const char *other)
{
	struct sfd_json_value v;

	return !sfd_json_find(object, name, &v) || sfd_json_kind(v) == SFD_JSON_NULL ||
	       sfd_json_is(v, "") || sfd_json_is(v, one) || sfd_json_is(v, other);
}

/* What a store may hold beside images. */
static int check_store_kind(struct sfd_json_value root, struct splitfd_error *err)
{
	struct sfd_json_value version, config;
	sfd_cleanup_free char *type = NULL;
	uint64_t n;
	int r;

	if (member_is(root, "mediaType", SFD_OCI_TYPE_INDEX) ||
		member_is(root, "mediaType", SFD_DOCKER_TYPE_LIST) || has(root, "manifests"))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EISDIR,
			"it is a list of manifests (a local manifest list), not an image; name one "
			"of its images");
	if (!sfd_json_find(root, "schemaVersion", &version) || !sfd_json_u64(version, &n))
		n = 0;
	if (n == 1 || has(root, "fsLayers"))
		return refuse(err, "its manifest is of docker's schema 1, which does not hold the "
				   "config; pull the image again in a newer format");
	if (n != 2 ||
		!member_is_of(root, "mediaType", SFD_OCI_TYPE_MANIFEST, SFD_DOCKER_TYPE_MANIFEST))
		return refuse(err, "its manifest is neither OCI's nor docker's schema 2");
	if (!sfd_json_find(root, "config", &config) ||
		member_is_of(config, "mediaType", SFD_OCI_TYPE_CONFIG, SFD_DOCKER_TYPE_CONFIG))
		return 0;
	r = take_text(config, "mediaType", &type, err);
	return r < 0 ? r
		     : splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			       "it is an artifact (its config is %.200s), not an image",
			       type != NULL ? type : "of no kind");
}

/* cfsctl takes what is not OCI's config for an artifact's and looks for layers by the blobs'
 * digests, while podman runs the image. */
static int check_repository_kind(struct sfd_json_value config, struct splitfd_error *err)
{
	if (!member_is(config, "mediaType", SFD_DOCKER_TYPE_CONFIG))
		return 0;
	return refuse(err, "the manifest's member 'config.mediaType' is docker's, but the manifest "
			   "is OCI's: an image to some programs, an artifact to others");
}

int sfd_oci_manifest_parse(const char *json, size_t size, enum sfd_oci_rules rules,
	struct sfd_oci_manifest *ret, struct splitfd_error *err)
{
	struct sfd_json_value root, config = { 0 }, layers;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = sfd_oci_check(json, size, SFD_OCI_MANIFEST, rules, &root, err);
	if (r == 0 && rules == SFD_OCI_STORE)
		r = check_store_kind(root, err);
	if (r < 0)
		return r;
	if (!sfd_json_find(root, "config", &config) || sfd_json_kind(config) != SFD_JSON_OBJECT ||
		!has(config, "digest"))
		return refuse(err, "the manifest has no config with a digest");
	if (rules == SFD_OCI_REPOSITORY)
		r = check_repository_kind(config, err);
	ret->container = rules == SFD_OCI_STORE ||
			 member_is(config, "mediaType", SFD_OCI_TYPE_CONFIG);
	if (r == 0)
		r = take_text(config, "digest", &ret->config_digest, err);
	if (r == 0 && ret->config_digest == NULL)
		return refuse(err, "the manifest has no config with a digest");
	if (r < 0)
		return r;
	if (!sfd_json_find(root, "layers", &layers))
		layers = (struct sfd_json_value){ "null", "null" + 4 };
	return take_layers(layers, ret, err);
}

void sfd_oci_manifest_done(struct sfd_oci_manifest *m)
{
	free(m->config_digest);
	free_list(m->layers, m->n_layers);
	free_list(m->layer_types, m->n_layers);
	memset(m, 0, sizeof(*m));
}

static int take_diff_ids(
	struct sfd_json_value list, struct sfd_oci_config *ret, struct splitfd_error *err)
{
	struct sfd_json_items items = sfd_json_items(list);
	struct sfd_json_value id;

	ret->diff_ids = calloc(sfd_json_count(list) + 1, sizeof(*ret->diff_ids));
	if (ret->diff_ids == NULL)
		return splitfd_error_oom(err);
	while (sfd_json_next(&items, NULL, &id)) {
		char **at = &ret->diff_ids[ret->n_diff_ids];
		int r = sfd_json_text(id, at, NULL);

		if (r == -ENOMEM)
			return splitfd_error_oom(err);
		if (r == 0)
			ret->n_diff_ids++;
		if (r < 0 || !sfd_oci_digest_ok(*at))
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"the config's member 'rootfs.diff_ids[%zu]' is not a digest",
				ret->n_diff_ids - (r == 0));
	}
	return 0;
}

static int take_facts(
	struct sfd_json_value root, struct sfd_oci_config *ret, struct splitfd_error *err)
{
	struct sfd_json_value run, labels;
	int r = take_text(root, "architecture", &ret->architecture, err);

	if (r == 0)
		r = take_text(root, "os", &ret->os, err);
	if (r == 0)
		r = take_text(root, "created", &ret->created, err);
	if (r == 0 && sfd_json_find(root, "config", &run) && sfd_json_find(run, "Labels", &labels))
		r = take_text(labels, "containers.composefs.fsverity", &ret->seal, err);
	return r;
}

int sfd_oci_config_parse(const char *json, size_t size, enum sfd_oci_rules rules,
	struct sfd_oci_config *ret, struct splitfd_error *err)
{
	struct sfd_json_value root, rootfs, diff_ids = { "null", "null" + 4 };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = sfd_oci_check(json, size, SFD_OCI_CONFIG, rules, &root, err);
	if (r == 0)
		r = take_facts(root, ret, err);
	if (r < 0)
		return r;
	if (!sfd_json_find(root, "rootfs", &rootfs))
		return refuse(err, "the config has no 'rootfs'");
	(void)sfd_json_find(rootfs, "diff_ids", &diff_ids);
	return take_diff_ids(diff_ids, ret, err);
}

void sfd_oci_config_done(struct sfd_oci_config *c)
{
	free_list(c->diff_ids, c->n_diff_ids);
	free(c->architecture);
	free(c->os);
	free(c->created);
	free(c->seal);
	memset(c, 0, sizeof(*c));
}

int sfd_oci_image_check(const char *manifest, size_t manifest_size, const char *config,
	size_t config_size, struct splitfd_error *err)
{
	sfd_cleanup_free char *converted = NULL;
	sfd_cleanup(sfd_oci_manifest_done) struct sfd_oci_manifest m = { 0 };
	sfd_cleanup(sfd_oci_config_done) struct sfd_oci_config c = { 0 };
	int r = sfd_oci_convert_docker(manifest, manifest_size, &converted, &manifest_size, err);

	if (r >= 0)
		r = sfd_oci_manifest_parse(converted != NULL ? converted : manifest, manifest_size,
			SFD_OCI_REPOSITORY, &m, err);
	if (r >= 0 && m.container)
		r = sfd_oci_config_parse(config, config_size, SFD_OCI_REPOSITORY, &c, err);
	return r < 0 ? r : m.container;
}
