/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_OCI_OCI_SCHEMA_H
#define SPLITFD_OCI_OCI_SCHEMA_H

/*
 * The members of manifest, config and index and their types, as composefs' tools (the Rust crate
 * oci-spec over serde_json) demand them, and as podman's (Go's encoding/json) get along with.
 */

#include "splitfdstream/base/error.h"
#include "transport/json/json-value.h"

/* Manifests, configs and indexes are not larger than this. */
#define SFD_OCI_JSON_MAX ((size_t)16 * 1024 * 1024)

/* Whose reading a document has to stand. */
enum sfd_oci_rules {
	/* What podman's store may hold: only what is needed of it is looked at, and that may be
	 * null or missing, which is empty to Go. */
	SFD_OCI_STORE,
	/* What a composefs repository may hold: cfsctl and podman read it, and read the same. */
	SFD_OCI_REPOSITORY,
};

enum sfd_oci_document_kind { SFD_OCI_MANIFEST, SFD_OCI_CONFIG, SFD_OCI_INDEX };

/* Parses a document and checks it against its rules. REFUSED (-EBADMSG), with the member's name. */
int sfd_oci_check(const char *json, size_t size, enum sfd_oci_document_kind kind,
	enum sfd_oci_rules rules, struct sfd_json_value *ret, struct splitfd_error *err);

/* "ALGORITHM:ENCODED" by the image specification's grammar; sha256, sha384 and sha512 with as many
 * lower-case hexadecimal digits as they have. */
bool sfd_oci_digest_ok(const char *digest);

#endif
