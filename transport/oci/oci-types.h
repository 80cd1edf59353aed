/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_OCI_OCI_TYPES_H
#define SPLITFD_OCI_OCI_TYPES_H

/*
 * Media types of OCI's and docker's documents and layers.
 */

#include <stddef.h>

#define SFD_OCI_TYPE_MANIFEST	 "application/vnd.oci.image.manifest.v1+json"
#define SFD_OCI_TYPE_INDEX	 "application/vnd.oci.image.index.v1+json"
#define SFD_OCI_TYPE_CONFIG	 "application/vnd.oci.image.config.v1+json"
#define SFD_OCI_TYPE_LAYER	 "application/vnd.oci.image.layer.v1.tar"
#define SFD_OCI_TYPE_FOREIGN	 "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define SFD_DOCKER_TYPE_SCHEMA1	 "application/vnd.docker.distribution.manifest.v1+json"
#define SFD_DOCKER_TYPE_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define SFD_DOCKER_TYPE_LIST	 "application/vnd.docker.distribution.manifest.list.v2+json"
#define SFD_DOCKER_TYPE_CONFIG	 "application/vnd.docker.container.image.v1+json"
#define SFD_DOCKER_TYPE_LAYER	 "application/vnd.docker.image.rootfs.diff.tar"
#define SFD_DOCKER_TYPE_FOREIGN	 "application/vnd.docker.image.rootfs.foreign.diff.tar"

/* The type of the same layer in the other world; NULL where it has none. */
const char *sfd_oci_layer_type(const char *docker);
const char *sfd_docker_layer_type(const char *oci);

#endif
