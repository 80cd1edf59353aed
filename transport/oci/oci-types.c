/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/oci-types.h"

#include <string.h>

static const struct {
	const char *docker, *oci;
} layer_types[] = {
	{ SFD_DOCKER_TYPE_LAYER, SFD_OCI_TYPE_LAYER },
	{ SFD_DOCKER_TYPE_LAYER ".gzip", SFD_OCI_TYPE_LAYER "+gzip" },
	{ SFD_DOCKER_TYPE_LAYER ".zstd", SFD_OCI_TYPE_LAYER "+zstd" },
	{ SFD_DOCKER_TYPE_FOREIGN, SFD_OCI_TYPE_FOREIGN },
	{ SFD_DOCKER_TYPE_FOREIGN ".gzip", SFD_OCI_TYPE_FOREIGN "+gzip" },
};

#define N_TYPES (sizeof(layer_types) / sizeof(layer_types[0]))

const char *sfd_oci_layer_type(const char *docker)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (strcmp(layer_types[i].docker, docker) == 0)
			return layer_types[i].oci;
	return NULL;
}

const char *sfd_docker_layer_type(const char *oci)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (strcmp(layer_types[i].oci, oci) == 0)
			return layer_types[i].docker;
	return NULL;
}
