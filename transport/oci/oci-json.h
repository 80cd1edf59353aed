/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_OCI_OCI_JSON_H
#define SPLITFD_OCI_OCI_JSON_H

/*
 * Manifests and configs, for the store, the repository and the proxy alike, and the conversion of
 * docker's manifest (schema 2) to OCI's. Documents are only read, never written again: callers that
 * pass them on pass the bytes. Source of the formats: the OCI image specification 1.1, docker's
 * image manifest version 2, schema 2.
 */

#include "transport/oci/oci-schema.h"
#include "transport/oci/oci-types.h"

struct sfd_oci_manifest {
	bool container; /* the config is an image's; else an artifact */
	char *config_digest;
	char **layers;	    /* digests, base first */
	char **layer_types; /* media types; an item may be NULL */
	size_t n_layers;
};

/* A manifest of one image or artifact. SFD_OCI_STORE takes docker's schema 2, too, and refuses, by
 * name, what is not an image whose config is there: lists (-EISDIR), schema 1, artifacts.
 * Everything in it is owned by *ret, which is to be given to _done also after an error. Digests
 * follow sfd_oci_digest_ok(). */
int sfd_oci_manifest_parse(const char *json, size_t size, enum sfd_oci_rules rules,
	struct sfd_oci_manifest *ret, struct splitfd_error *err);
void sfd_oci_manifest_done(struct sfd_oci_manifest *m);

struct sfd_oci_config {
	char **diff_ids; /* base first */
	size_t n_diff_ids;
	char *architecture, *os; /* NULL where the config has none */
	char *created;		 /* as written; may be NULL */
	char *seal;		 /* label containers.composefs.fsverity; may be NULL */
};

int sfd_oci_config_parse(const char *json, size_t size, enum sfd_oci_rules rules,
	struct sfd_oci_config *ret, struct splitfd_error *err);
void sfd_oci_config_done(struct sfd_oci_config *c);

/* A docker schema 2 manifest as an OCI manifest: 1 and *ret (malloc'd, the caller's). 0 where it is
 * not a docker manifest and nothing is to be done. Schema 1 and lists are REFUSED.
 *
 * The result is what containers/image makes of it (members, order, media types, escapes), with one
 * difference: the config keeps its bytes, so its digest stays the image's ID and what OCI has no
 * place for (health check, OnBuild) is not lost. Docker's config is an OCI config with more
 * members. */
int sfd_oci_convert_docker(
	const char *json, size_t size, char **ret, size_t *ret_size, struct splitfd_error *err);

/* Checks that a repository can take the image: SFD_OCI_REPOSITORY's rules for both documents, the
 * manifest after the conversion that sfd_oci_commit() does. 1; 0 for an artifact. For callers that
 * are about to store layers. */
int sfd_oci_image_check(const char *manifest, size_t manifest_size, const char *config,
	size_t config_size, struct splitfd_error *err);

#endif
