/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_OCI_GO_OCI_H
#define SPLITFD_OCI_GO_OCI_H

/*
 * Manifests and configs as Go's tools convert them, for clients of the proxy: OCI only. A docker
 * schema 2 manifest is converted, and a config is reduced to what OCI knows, in the bytes that
 * container tools make of it, because the converted manifest names the converted config by digest.
 * Source of the formats: OCI image-spec 1.1; the conversion as observed on skopeo 1.22.
 */

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/error.h"
#include "transport/oci/oci-types.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the OCI config made from a stored one. `inner`: only its "config" object. */
int sfd_oci_config(const char *config, size_t config_size, bool inner, struct sfd_buffer *ret,
	struct splitfd_error *err);

/* The media type of a manifest: by its own word, else by its shape. Static text; NULL where
 * memory is short. */
const char *sfd_manifest_type(const char *manifest, size_t size);

/* Appends the manifest as clients get it: the same bytes where it is OCI, else converted. Kinds
 * that have no OCI form are an error. */
int sfd_oci_manifest(const char *manifest, size_t manifest_size, const char *config,
	size_t config_size, struct sfd_buffer *ret, struct splitfd_error *err);

#endif
