/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a pull, for people and as JSON. */
#include "shim/cmds/copy-print.h"
#include "shim/common/report.h"
#include "transport/json/json-member.h"

#include <stdio.h>

static bool add_hex(cJSON *o, const char *name, const struct splitfd_digest *digest)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];

	if (digest == NULL)
		return cJSON_AddNullToObject(o, name) != NULL;
	splitfd_digest_hex(digest, hex);
	return cJSON_AddStringToObject(o, name, hex) != NULL;
}

static bool fill(cJSON *o, const struct sfd_pull *p, const struct sfd_pull_result *result)
{
	const struct sfd_oci_result *oci = &result->oci;

	return cJSON_AddStringToObject(o, "manifest_digest", oci->manifest_digest) != NULL &&
	       (result->original == NULL ||
		       cJSON_AddStringToObject(o, "converted", result->original) != NULL) &&
	       cJSON_AddStringToObject(o, "config_digest", oci->config_digest) != NULL &&
	       add_hex(o, "manifest_verity", &oci->manifest) &&
	       add_hex(o, "config_verity", &oci->config) &&
	       add_hex(o, "composefs_erofs", result->image) &&
	       (result->why_no_image == NULL ||
		       cJSON_AddStringToObject(o, "image_error", result->why_no_image) != NULL) &&
	       cJSON_AddStringToObject(o, "tag", sfd_pull_get_options(p)->name) != NULL &&
	       sfd_json_add(o, "stats", sfd_stats_json(&result->stats));
}

static int print_json(
	const struct sfd_pull *p, const struct sfd_pull_result *result, struct splitfd_error *err)
{
	cJSON *o = cJSON_CreateObject();

	if (!fill(o, p, result)) {
		cJSON_Delete(o);
		o = NULL;
	}
	return sfd_print_json(o, err);
}

int sfd_pull_print(const struct sfd_pull *p, bool json, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	struct sfd_pull_result result;

	sfd_pull_get_result(p, &result);
	if (json)
		return print_json(p, &result, err);
	/* Podman knows the image by this one. */
	if (result.original != NULL)
		printf("docker   %s, converted\n", result.original);
	splitfd_digest_hex(&result.oci.manifest, hex);
	printf("manifest %s\nconfig   %s\nverity   %s\n", result.oci.manifest_digest,
		result.oci.config_digest, hex);
	if (result.image != NULL) {
		splitfd_digest_hex(result.image, hex);
		printf("image    %s\n", hex);
	}
	fputs("tagged   ", stdout);
	sfd_print_text(stdout, sfd_pull_get_options(p)->name);
	fputs("\nobjects  ", stdout);
	sfd_print_stats(stdout, &result.stats);
	putchar('\n');
	return 0;
}
