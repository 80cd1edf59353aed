/* SPDX-License-Identifier: Apache-2.0 */
/* A config as skopeo's Go types would write it again, for GetConfig and GetFullConfig. */
#include "transport/json/go-json.h"
#include "transport/oci/go-oci.h"
#include "splitfdstream/base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum kind {
	TEXT,
	TEXTS,
	SET, /* names with empty objects */
	MAP, /* names with texts */
	FLAG,
	TIME,
	OBJECT,
	OBJECTS,
};

/* A document as data: what it may hold, in the order it is written. */
struct field {
	const char *key;
	enum kind kind;
	bool always; /* written also when empty */
	const struct field *fields;
};

static const struct field config_fields[] = {
	{ "User", TEXT, false, NULL },
	{ "ExposedPorts", SET, false, NULL },
	{ "Env", TEXTS, false, NULL },
	{ "Entrypoint", TEXTS, false, NULL },
	{ "Cmd", TEXTS, false, NULL },
	{ "Volumes", SET, false, NULL },
	{ "WorkingDir", TEXT, false, NULL },
	{ "Labels", MAP, false, NULL },
	{ "StopSignal", TEXT, false, NULL },
	{ "ArgsEscaped", FLAG, false, NULL },
	{ NULL, TEXT, false, NULL },
};

static const struct field rootfs_fields[] = {
	{ "type", TEXT, true, NULL },
	{ "diff_ids", TEXTS, true, NULL },
	{ NULL, TEXT, false, NULL },
};

static const struct field history_fields[] = {
	{ "created", TIME, false, NULL },
	{ "created_by", TEXT, false, NULL },
	{ "author", TEXT, false, NULL },
	{ "comment", TEXT, false, NULL },
	{ "empty_layer", FLAG, false, NULL },
	{ NULL, TEXT, false, NULL },
};

static const struct field image_fields[] = {
	{ "created", TIME, false, NULL },
	{ "author", TEXT, false, NULL },
	{ "architecture", TEXT, true, NULL },
	{ "os", TEXT, true, NULL },
	{ "os.version", TEXT, false, NULL },
	{ "os.features", TEXTS, false, NULL },
	{ "variant", TEXT, false, NULL },
	{ "config", OBJECT, true, config_fields },
	{ "rootfs", OBJECT, true, rootfs_fields },
	{ "history", OBJECTS, false, history_fields },
	{ NULL, TEXT, false, NULL },
};

static int write_object(struct sfd_buffer *b, const cJSON *object, const struct field *fields);

static int write_texts(struct sfd_buffer *b, const cJSON *list)
{
	const cJSON *item;
	int r;

	if (list == NULL)
		return sfd_buffer_append_str(b, "null");
	r = sfd_buffer_append_str(b, "[");
	cJSON_ArrayForEach (item, list) {
		if (r == 0 && item != list->child)
			r = sfd_buffer_append_str(b, ",");
		if (!cJSON_IsString(item) && !cJSON_IsNull(item))
			return -EINVAL;
		if (r == 0)
			r = sfd_json_string(b, cJSON_IsString(item) ? item->valuestring : "");
	}
	return r == 0 ? sfd_buffer_append_str(b, "]") : r;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static int write_entry(struct sfd_buffer *b, const cJSON *item, enum kind kind)
{
	int r = sfd_json_string(b, item->string);

	if (r == 0)
		r = sfd_buffer_append_str(b, ":");
	if (r < 0)
		return r;
	if (kind == SET)
		return sfd_buffer_append_str(b, "{}");
	if (!cJSON_IsString(item) && !cJSON_IsNull(item))
		return -EINVAL;
	return sfd_json_string(b, cJSON_IsString(item) ? item->valuestring : "");
}

/* Sorted by name; of a repeated name the last counts. */
static int write_map(struct sfd_buffer *b, const cJSON *object, enum kind kind)
{
	size_t n = (size_t)cJSON_GetArraySize(object), kept = 0;
	sfd_cleanup_free const cJSON **items = calloc(n + 1, sizeof(*items));
	int r;

	if (items == NULL)
		return -ENOMEM;
	for (const cJSON *item = object->child; item != NULL; item = item->next) {
		size_t i = 0;

		while (i < kept && strcmp(items[i]->string, item->string) != 0)
			i++;
		items[i] = item;
		kept += i == kept;
	}
	qsort(items, kept, sizeof(*items), compare_items);
	r = sfd_buffer_append_str(b, "{");
	for (size_t i = 0; r == 0 && i < kept; i++) {
		if (i > 0)
			r = sfd_buffer_append_str(b, ",");
		if (r == 0)
			r = write_entry(b, items[i], kind);
	}
	return r == 0 ? sfd_buffer_append_str(b, "}") : r;
}

/* RFC 3339: a zero offset becomes Z, zeros at the end of the fraction go. */
static int write_time(struct sfd_buffer *b, const char *text)
{
	static const char *const shape = "dddd-dd-ddTdd:dd:dd";
	size_t i, fraction, zone;

	for (i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return -EINVAL;
	}
	fraction = i;
	if (text[i] == '.')
		i += 1 + strspn(text + i + 1, "0123456789");
	zone = i;
	if (zone == fraction + 1)
		return -EINVAL;
	if (zone - fraction > 10)
		i = fraction + 10;
	while (i > fraction && (text[i - 1] == '0' || text[i - 1] == '.'))
		i--;
	if (strcmp(text + zone, "Z") == 0 || strcmp(text + zone, "+00:00") == 0)
		return sfd_buffer_printf(b, "\"%.*sZ\"", (int)i, text);
	if (strlen(text + zone) != 6 || strspn(text + zone, "+-0123456789:") != 6)
		return -EINVAL;
	return sfd_buffer_printf(b, "\"%.*s%s\"", (int)i, text, text + zone);
}

static int write_objects(struct sfd_buffer *b, const cJSON *list, const struct field *fields)
{
	const cJSON *item;
	int r = sfd_buffer_append_str(b, "[");

	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsObject(item))
			return -EINVAL;
		if (r == 0 && item != list->child)
			r = sfd_buffer_append_str(b, ",");
		if (r == 0)
			r = write_object(b, item, fields);
	}
	return r == 0 ? sfd_buffer_append_str(b, "]") : r;
}

/* The type that a member must have, where it is there. */
static bool type_fits(const cJSON *item, enum kind kind)
{
	if (item == NULL)
		return true;
	switch (kind) {
	case TEXT:
	case TIME:
		return cJSON_IsString(item);
	case FLAG:
		return cJSON_IsBool(item);
	case TEXTS:
	case OBJECTS:
		return cJSON_IsArray(item);
	default:
		return cJSON_IsObject(item);
	}
}

static bool is_empty(const cJSON *item, enum kind kind)
{
	if (item == NULL)
		return true;
	switch (kind) {
	case TEXT:
		return item->valuestring[0] == '\0';
	case FLAG:
		return cJSON_IsFalse(item);
	case TIME:
	case OBJECT:
		return false;
	default:
		return item->child == NULL;
	}
}

static int write_value(struct sfd_buffer *b, const cJSON *item, const struct field *f)
{
	switch (f->kind) {
	case TEXT:
		return sfd_json_string(b, item != NULL ? item->valuestring : "");
	case TEXTS:
		return write_texts(b, item);
	case FLAG:
		return sfd_buffer_append_str(b, "true");
	case TIME:
		return write_time(b, item->valuestring);
	case OBJECT:
		return write_object(b, item, f->fields);
	case OBJECTS:
		return write_objects(b, item, f->fields);
	default:
		return write_map(b, item, f->kind);
	}
}

static int write_object(struct sfd_buffer *b, const cJSON *object, const struct field *fields)
{
	bool first = true;
	int r = sfd_buffer_append_str(b, "{");

	for (const struct field *f = fields; r == 0 && f->key != NULL; f++) {
		const cJSON *item = sfd_json_member(object, f->key);

		if (!type_fits(item, f->kind))
			return -EINVAL;
		if (is_empty(item, f->kind) && !f->always)
			continue;
		r = sfd_buffer_printf(b, "%s\"%s\":", first ? "" : ",", f->key);
		first = false;
		if (r == 0)
			r = write_value(b, item, f);
	}
	return r == 0 ? sfd_buffer_append_str(b, "}") : r;
}

int sfd_oci_config(const char *config, size_t config_size, bool inner, struct sfd_buffer *ret,
	struct splitfd_error *err)
{
	cJSON *json;
	int r = sfd_json_parse(config, config_size, &json);

	if (r == -ENOMEM)
		return splitfd_error_oom(err);
	if (!cJSON_IsObject(json))
		r = -EINVAL;
	else if (inner)
		r = write_object(ret, sfd_json_member(json, "config"), config_fields);
	else
		r = write_object(ret, json, image_fields);
	cJSON_Delete(json);
	if (r == -EINVAL)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EINVAL,
			"the image's config is not an OCI image config");
	if (r < 0)
		return splitfd_error_sys(err, -r, "the image's config is too large");
	return 0;
}
