/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/fsck-json.h"

#include <stdio.h>

static bool add_number(cJSON *object, const char *name, uint64_t number)
{
	return cJSON_AddNumberToObject(object, name, (double)number) != NULL;
}

static bool add_count(cJSON *object, const char *name, const struct sfd_fsck_count *count)
{
	char checked[32], corrupted[32];

	snprintf(checked, sizeof(checked), "%s_checked", name);
	snprintf(corrupted, sizeof(corrupted), "%s_corrupted", name);
	return add_number(object, checked, count->checked) &&
	       add_number(object, corrupted, count->corrupted);
}

static bool add_errors(cJSON *object, const struct sfd_fsck_texts *texts)
{
	cJSON *array = cJSON_AddArrayToObject(object, "errors");

	for (size_t i = 0; array != NULL && i < texts->n; i++) {
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(texts->items[i])))
			return false;
	}
	return array != NULL;
}

bool sfd_fsck_json_repository(cJSON *object, const struct sfd_fsck_report *report, bool layers)
{
	return cJSON_AddBoolToObject(object, "ok", report->errors.n == 0) != NULL &&
	       cJSON_AddTrueToObject(object, "has_metadata") != NULL &&
	       add_count(object, "objects", &report->objects) &&
	       add_count(object, "streams", &report->streams) &&
	       add_count(object, "images", &report->images) &&
	       (!layers || add_count(object, "layers", &report->layers)) &&
	       add_number(object, "broken_links", report->broken_links) &&
	       add_number(object, "missing_objects", report->missing_objects) &&
	       add_errors(object, &report->errors);
}

bool sfd_fsck_json_images(cJSON *object, const struct sfd_fsck_report *report, bool layers)
{
	bool ok = report->errors.n == 0 && report->oci_errors.n == 0;

	return cJSON_AddBoolToObject(object, "ok", ok) != NULL &&
	       add_count(object, "images", &report->oci) &&
	       add_errors(object, &report->oci_errors) &&
	       sfd_fsck_json_repository(cJSON_AddObjectToObject(object, "repo"), report, layers);
}
