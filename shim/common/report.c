/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/report.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

#include <string.h>

void sfd_format_bytes(uint64_t bytes, char text[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, 32, "%llu B", (unsigned long long)bytes);
		return;
	}
	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 32, "%.2f %s", value, units[unit]);
}

void sfd_print_stats(FILE *out, const struct splitfd_import_stats *stats)
{
	char reflinked[32], copied[32], inlined[32];

	sfd_format_bytes(stats->bytes_reflinked, reflinked);
	sfd_format_bytes(stats->bytes_copied, copied);
	sfd_format_bytes(stats->bytes_inlined, inlined);
	if (stats->objects_reflinked == 0) {
		fprintf(out, "%llu new + %llu already present objects; %s stored, %s inlined",
			(unsigned long long)stats->objects_copied,
			(unsigned long long)stats->objects_already_present, copied, inlined);
		return;
	}
	fprintf(out,
		"%llu reflinked + %llu copied + %llu already present objects; "
		"%s reflinked, %s copied, %s inlined",
		(unsigned long long)stats->objects_reflinked,
		(unsigned long long)stats->objects_copied,
		(unsigned long long)stats->objects_already_present, reflinked, copied, inlined);
}

char *sfd_stats_text(const struct splitfd_import_stats *stats)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	sfd_print_stats(out, stats);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

cJSON *sfd_stats_json(const struct splitfd_import_stats *stats)
{
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = {
		{ "layers", stats->layers },
		{ "layers_already_present", stats->layers_already_present },
		{ "objects_reflinked", stats->objects_reflinked },
		{ "objects_copied", stats->objects_copied },
		{ "objects_already_present", stats->objects_already_present },
		{ "bytes_reflinked", stats->bytes_reflinked },
		{ "bytes_copied", stats->bytes_copied },
		{ "bytes_inlined", stats->bytes_inlined },
	};
	cJSON *object = cJSON_CreateObject();

	for (size_t i = 0; object != NULL && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (cJSON_AddNumberToObject(object, rows[i].key, (double)rows[i].value) == NULL) {
			cJSON_Delete(object);
			return NULL;
		}
	}
	return object;
}

void sfd_print_text(FILE *out, const char *text)
{
	char shown[SFD_TEXT_SHOWN_MAX];

	while (*text != '\0') {
		text += sfd_text_shown(text, shown);
		fputs(shown, out);
	}
}

size_t sfd_text_columns(const char *text)
{
	char shown[SFD_TEXT_SHOWN_MAX];
	size_t n = 0;

	while (*text != '\0') {
		text += sfd_text_shown(text, shown);
		n += shown[0] == '\\' ? strlen(shown) : 1;
	}
	return n;
}

cJSON *sfd_list_json(const char *name, size_t n,
	bool (*fill)(const void *list, size_t i, cJSON *object), const void *list)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *array = cJSON_AddArrayToObject(root, name);
	bool good = array != NULL;

	for (size_t i = 0; good && i < n; i++) {
		cJSON *object = cJSON_CreateObject();

		good = cJSON_AddItemToArray(array, object);
		if (!good)
			cJSON_Delete(object);
		good = good && fill(list, i, object);
	}
	if (!good) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

int sfd_print_json(cJSON *value, struct splitfd_error *err)
{
	sfd_cleanup_free char *text = value != NULL ? cJSON_Print(value) : NULL;
	sfd_cleanup_free char *clean = text != NULL ? sfd_utf8_replaced(text) : NULL;

	cJSON_Delete(value);
	if (clean == NULL)
		return splitfd_error_oom(err);
	puts(clean);
	return 0;
}
