/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a pull, for people and as JSON. */
#include "shim/common/report.h"
#include "shim/copy/pull.h"

#include <stdio.h>

static int print_json(
	const struct sfd_pull *p, const struct sfd_pull_result *result, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "manifest", result->oci.manifest_digest);
	cJSON_AddStringToObject(o, "config", result->oci.config_digest);
	splitfd_digest_hex(&result->oci.manifest, hex);
	cJSON_AddStringToObject(o, "manifestVerity", hex);
	splitfd_digest_hex(&result->oci.config, hex);
	cJSON_AddStringToObject(o, "configVerity", hex);
	if (result->image != NULL) {
		splitfd_digest_hex(result->image, hex);
		cJSON_AddStringToObject(o, "image", hex);
	} else {
		cJSON_AddNullToObject(o, "image");
	}
	if (result->why_no_image != NULL)
		cJSON_AddStringToObject(o, "imageError", result->why_no_image);
	cJSON_AddStringToObject(o, "tag", sfd_pull_get_options(p)->name);
	cJSON_AddItemToObject(o, "objects", sfd_stats_json(&result->stats));
	return sfd_print_json(o, err);
}

int sfd_pull_print(struct sfd_pull *p, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	struct sfd_pull_result result;

	sfd_pull_get_result(p, &result);
	if (sfd_pull_get_options(p)->json)
		return print_json(p, &result, err);
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
