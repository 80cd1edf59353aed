/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OCI_H
#define SPLITFD_COMPOSEFS_OCI_H

/*
 * Writes an image: config and manifest as objects and streams, the tag. As cfsctl writes them, but
 * always in the order of the config and manifest, so that the same image gives the same streams.
 */

#include "transport/composefs/images/names.h"

/* A reference of a config to an EROFS image: "composefs.image" (V2), "composefs.image.v1",
 * "composefs.image.boot", … */
struct sfd_oci_ref {
	const char *name;
	struct splitfd_digest digest;
};

struct sfd_oci_image {
	const char *manifest; /* JSON as it came; docker's schema 2 is converted (oci-json.h) */
	size_t manifest_size;
	const char *config;
	size_t config_size;
	const struct sfd_oci_ref *images; /* EROFS images, already objects; may be empty */
	size_t n_images;
	const char *tag; /* NULL: none */
};

struct sfd_oci_result {
	char manifest_digest[72]; /* "sha256:…", of what was stored */
	char config_digest[72];
	struct splitfd_digest manifest; /* of the streams */
	struct splitfd_digest config;
	bool converted; /* from docker's schema 2 */
	bool container; /* else an artifact: no EROFS image can belong to it */
};

/* Adds the config, the manifest and the tag to `names` and commits all of them: `names` may hold
 * layers (ADOPT) and images. The layers that the config (an artifact's manifest) asks for are those
 * in `names`, else those in streams/; NOT_FOUND where one is in neither. Where a layer's name was
 * made by another program meanwhile, its digest is taken and config and manifest are made anew.
 * Where config or manifest are there already they are rewritten; EROFS references of the old config
 * whose images are still there are kept, unless `images` has them; other manifests of a rewritten
 * config are rewritten too. Where nothing is new, nothing changes. The config's sha256 must be the
 * one that the manifest gives (REFUSED). */
int sfd_oci_commit(struct splitfd_repository *repository, struct sfd_names *names,
	const struct sfd_oci_image *image, struct sfd_oci_result *ret, struct splitfd_error *err);

#endif
