/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_OCI_H
#define SPLITFD_SHIM_PROXY_OCI_H

/*
 * Manifests and configs as the proxy's clients get them: OCI only. A docker schema 2 manifest is
 * converted, and a config is reduced to what OCI knows, in the bytes that container tools make of
 * it, because the converted manifest names the converted config by digest. Source of the formats:
 * OCI image-spec 1.1; the conversion as observed on skopeo 1.22.
 */

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the OCI config made from a stored one. `inner`: only its "config" object. */
int sfd_oci_config(const char *config, size_t config_size, bool inner, struct sfd_buffer *ret,
	struct splitfd_error *err);

/* The media type of a manifest: by its own word, else by its shape. Static text. */
const char *sfd_manifest_type(const char *manifest, size_t size);

/* Appends the manifest as clients get it: the same bytes where it is OCI, else converted. Kinds
 * that have no OCI form are an error. */
int sfd_oci_manifest(const char *manifest, size_t manifest_size, const char *config,
	size_t config_size, struct sfd_buffer *ret, struct splitfd_error *err);

#define SFD_TYPE_OCI_MANIFEST	"application/vnd.oci.image.manifest.v1+json"
#define SFD_TYPE_OCI_INDEX	"application/vnd.oci.image.index.v1+json"
#define SFD_TYPE_OCI_CONFIG	"application/vnd.oci.image.config.v1+json"
#define SFD_TYPE_OCI_LAYER	"application/vnd.oci.image.layer.v1.tar"
#define SFD_TYPE_OCI_FOREIGN	"application/vnd.oci.image.layer.nondistributable.v1.tar"
#define SFD_TYPE_DOCKER_V2	"application/vnd.docker.distribution.manifest.v2+json"
#define SFD_TYPE_DOCKER_LIST	"application/vnd.docker.distribution.manifest.list.v2+json"
#define SFD_TYPE_DOCKER_V1	"application/vnd.docker.distribution.manifest.v1+json"
#define SFD_TYPE_DOCKER_LAYER	"application/vnd.docker.image.rootfs.diff.tar"
#define SFD_TYPE_DOCKER_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"

/* The docker layer type for an OCI one; NULL where there is none. */
const char *sfd_docker_layer_type(const char *oci);

#endif
