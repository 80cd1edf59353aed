/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and configs, and docker's manifests: what was converted must be an OCI manifest of the
 * same layers, and must not be converted again.
 */
#include "transport/oci/oci-json.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_converted(const char *json, size_t size, const char *oci, size_t oci_size)
{
	struct sfd_oci_manifest before, after;
	struct splitfd_error err = { 0 };
	char *again = NULL;
	size_t again_size;

	assert(sfd_oci_convert_docker(oci, oci_size, &again, &again_size, &err) == 0);
	if (sfd_oci_manifest_parse(json, size, SFD_OCI_STORE, &before, &err) == 0) {
		assert(sfd_oci_manifest_parse(oci, oci_size, SFD_OCI_STORE, &after, &err) == 0);
		assert(after.container && before.n_layers == after.n_layers);
		assert(strcmp(before.config_digest, after.config_digest) == 0);
		for (size_t i = 0; i < after.n_layers; i++)
			assert(strcmp(before.layers[i], after.layers[i]) == 0);
		sfd_oci_manifest_done(&after);
	}
	sfd_oci_manifest_done(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_oci_manifest manifest;
	struct sfd_oci_config config;
	struct splitfd_error err = { 0 };
	const char *json = (const char *)data;
	char *oci = NULL;
	size_t oci_size = 0;

	if (sfd_oci_convert_docker(json, size, &oci, &oci_size, &err) == 1)
		check_converted(json, size, oci, oci_size);
	free(oci);
	for (enum sfd_oci_rules rules = SFD_OCI_STORE; rules <= SFD_OCI_REPOSITORY; rules++) {
		if (sfd_oci_manifest_parse(json, size, rules, &manifest, &err) == 0)
			assert(manifest.config_digest != NULL);
		sfd_oci_manifest_done(&manifest);
		if (sfd_oci_config_parse(json, size, rules, &config, &err) == 0)
			assert(config.diff_ids != NULL);
		sfd_oci_config_done(&config);
	}
	return 0;
}
