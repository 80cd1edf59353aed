/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OCI_READ_H
#define SPLITFD_COMPOSEFS_OCI_READ_H

/*
 * Stored images, configs and manifests. Everything is checked: content types, one object each,
 * sha256 of manifest and config.
 */

#include "transport/oci/oci-json.h"
#include "transport/composefs/stream/splitstream.h"

/* A stored manifest or config. Zeroed by _done. */
struct sfd_oci_document {
	struct splitfd_digest stream;	/* the stream object that it was read from */
	struct sfd_splitstream *reader; /* for the stream's references */
	char *json;			/* with a NUL behind */
	size_t size;			/* at most SFD_OCI_JSON_MAX */
};

/* Reads the document in the stream object `stream`. *ret is for _done in any case. */
int sfd_oci_document_read(struct splitfd_repository *repository,
	const struct splitfd_digest *stream, const char *content_type, struct sfd_oci_document *ret,
	struct splitfd_error *err);
void sfd_oci_document_done(struct sfd_oci_document *d);

struct sfd_oci_stored {
	char *manifest_digest; /* "sha256:…" */
	struct sfd_oci_document manifest, config;
	struct sfd_oci_manifest manifest_facts;
	struct sfd_oci_config config_facts; /* empty for an artifact */
};

/* Reads an image by its manifest's digest, as cfsctl does: manifest by name, config by the
 * manifest's reference. NOT_FOUND where there is no such manifest. *ret is for _done in any case.
 */
int sfd_oci_stored_read(struct splitfd_repository *repository, const char *manifest_digest,
	struct sfd_oci_stored *ret, struct splitfd_error *err);
void sfd_oci_stored_done(struct sfd_oci_stored *s);

/* The image's EROFS references on its config: the digest of the default format's, of the boot one.
 * False where there is none. */
bool sfd_oci_stored_erofs(const struct splitfd_repository *repository,
	const struct sfd_oci_stored *s, bool boot, struct splitfd_digest *ret);

#endif
