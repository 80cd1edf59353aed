/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_IMAGE_MANIFEST_H
#define SPLITFD_CONTAINERS_STORAGE_IMAGE_MANIFEST_H

/*
 * The two documents of an image: the manifest (OCI, or docker schema 2) and the config. Only read,
 * never written again: who passes them on passes the stored bytes.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>

struct cJSON;

/* Strings are borrowed from `json`. */
struct sfd_manifest {
	struct cJSON *json;
	const char *config_digest;  /* "sha256:HEX" */
	const struct cJSON *layers; /* objects, each with a string "digest" */
	size_t n_layers;
};

/* Reads a manifest. REFUSED, with the reason, for an index or list of manifests, an artifact that
 * is no image, docker schema 1, and what is malformed. *ret starts as { 0 } and is emptied by
 * sfd_manifest_done(), also after an error. */
int sfd_manifest_parse(
	const char *text, size_t size, struct sfd_manifest *ret, struct splitfd_error *err);
void sfd_manifest_done(struct sfd_manifest *manifest);

/* Layer i of the manifest; borrowed. *ret_media_type is NULL where there is none. */
void sfd_manifest_layer(const struct sfd_manifest *manifest, size_t i, const char **ret_digest,
	const char **ret_media_type);

/* A config's rootfs.diff_ids: "sha256:HEX" strings, base first. */
struct sfd_diff_ids {
	struct cJSON *json;
	const struct cJSON *v;
	size_t n;
};

/* REFUSED where the config is malformed. As sfd_manifest_parse(). */
int sfd_diff_ids_parse(
	const char *text, size_t size, struct sfd_diff_ids *ret, struct splitfd_error *err);
void sfd_diff_ids_done(struct sfd_diff_ids *ids);
const char *sfd_diff_id(const struct sfd_diff_ids *ids, size_t i);

#endif
