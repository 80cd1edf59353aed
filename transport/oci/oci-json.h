/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OCI_JSON_H
#define SPLITFD_COMPOSEFS_OCI_JSON_H

/*
 * What a repository needs to know of manifests and configs, and the conversion of docker's manifest
 * (schema 2) to OCI's. Source of the formats: the OCI image specification 1.1, docker's image
 * manifest version 2, schema 2.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Manifests and configs are not larger than this. */
#define SFD_OCI_JSON_MAX ((size_t)16 * 1024 * 1024)

struct sfd_oci_manifest {
	bool container; /* the config is an OCI image config; else an artifact */
	char *config_digest;
	char **layers; /* digests, base first */
	char **layer_types;
	size_t n_layers;
};

/* Everything in it is owned by *ret, which is to be given to _done also after an error. Digests are
 * checked to be "sha256:" and 64 hex digits, or another algorithm with a sane name. */
int sfd_oci_manifest_parse(
	const char *json, size_t size, struct sfd_oci_manifest *ret, struct splitfd_error *err);
void sfd_oci_manifest_done(struct sfd_oci_manifest *m);

struct sfd_oci_config {
	char **diff_ids; /* base first */
	size_t n_diff_ids;
	char *architecture, *os; /* NULL where the config has none */
	char *created;		 /* as written; may be NULL */
	char *seal;		 /* label containers.composefs.fsverity; may be NULL */
};

int sfd_oci_config_parse(
	const char *json, size_t size, struct sfd_oci_config *ret, struct splitfd_error *err);
void sfd_oci_config_done(struct sfd_oci_config *c);

/* A docker schema 2 manifest as an OCI manifest: 1 and *ret (malloc'd, the caller's). 0 where it is
 * no docker manifest and nothing is to be done. Schema 1 and lists are REFUSED.
 *
 * The result is what containers/image makes of it (members, order, media types, escapes), with one
 * difference: the config keeps its bytes, so its digest stays the image's ID and what OCI has no
 * place for (health check, OnBuild) is not lost. Docker's config is an OCI config with more
 * members. */
int sfd_oci_convert_docker(
	const char *json, size_t size, char **ret, size_t *ret_size, struct splitfd_error *err);

#endif
