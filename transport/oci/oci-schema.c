/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/oci/oci-schema.h"

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"

#include <string.h>

/* The longest digest that a name in streams/ has room for. */
#define DIGEST_LEN_MAX 200

enum kind {
	TEXT,
	DIGEST,
	U32,
	U64,
	BOOL,
	EMPTY,	/* {}; also [] to serde */
	LIST,	/* of `of` */
	MAP,	/* of `of`, any names */
	STRUCT, /* of `fields` */
};

struct type {
	enum kind kind;
	const struct type *of;
	const struct field *fields; /* up to one without a name */
};

struct field {
	const char *name;
	const struct type *type;
	enum { OPTIONAL, NEEDED } presence;
	bool used; /* by splitfd itself */
};

static const struct type text_type = { TEXT, NULL, NULL }, digest_type = { DIGEST, NULL, NULL };
static const struct type u32_type = { U32, NULL, NULL }, u64_type = { U64, NULL, NULL };
static const struct type boolean_type = { BOOL, NULL, NULL }, empty_type = { EMPTY, NULL, NULL };
static const struct type texts_type = { LIST, &text_type, NULL },
			 annotations_type = { MAP, &text_type, NULL };
static const struct type names_type = { MAP, &empty_type, NULL };

static const struct field no_fields[] = { { 0 } };

static const struct field platform_fields[] = {
	{ "architecture", &text_type, NEEDED, false },
	{ "os", &text_type, NEEDED, false },
	{ "os_version", &text_type, OPTIONAL, false },
	{ "os_features", &texts_type, OPTIONAL, false },
	{ "variant", &text_type, OPTIONAL, false },
	{ "features", &texts_type, OPTIONAL, false },
	{ 0 },
};
static const struct type platform_type = { STRUCT, NULL, platform_fields };

static const struct field descriptor_fields[] = {
	{ "mediaType", &text_type, NEEDED, true },
	{ "digest", &digest_type, NEEDED, true },
	{ "size", &u64_type, NEEDED, false },
	{ "urls", &texts_type, OPTIONAL, false },
	{ "annotations", &annotations_type, OPTIONAL, false },
	{ "platform", &platform_type, OPTIONAL, false },
	{ "artifactType", &text_type, OPTIONAL, false },
	{ "data", &text_type, OPTIONAL, false },
	{ 0 },
};
static const struct type descriptor_type = { STRUCT, NULL, descriptor_fields };
static const struct type descriptors_type = { LIST, &descriptor_type, NULL };

static const struct field manifest_fields[] = {
	{ "schemaVersion", &u32_type, NEEDED, false },
	{ "mediaType", &text_type, OPTIONAL, true },
	{ "artifactType", &text_type, OPTIONAL, false },
	{ "config", &descriptor_type, NEEDED, true },
	{ "layers", &descriptors_type, NEEDED, true },
	{ "subject", &descriptor_type, OPTIONAL, false },
	{ "annotations", &annotations_type, OPTIONAL, false },
	{ 0 },
};
static const struct field index_fields[] = {
	{ "schemaVersion", &u32_type, NEEDED, false },
	{ "mediaType", &text_type, OPTIONAL, true },
	{ "artifactType", &text_type, OPTIONAL, false },
	{ "manifests", &descriptors_type, NEEDED, true },
	{ "subject", &descriptor_type, OPTIONAL, false },
	{ "annotations", &annotations_type, OPTIONAL, false },
	{ 0 },
};

static const struct field run_fields[] = {
	{ "User", &text_type, OPTIONAL, false },
	{ "ExposedPorts", &names_type, OPTIONAL, false },
	{ "Env", &texts_type, OPTIONAL, false },
	{ "Entrypoint", &texts_type, OPTIONAL, false },
	{ "Cmd", &texts_type, OPTIONAL, false },
	{ "Volumes", &names_type, OPTIONAL, false },
	{ "WorkingDir", &text_type, OPTIONAL, false },
	{ "Labels", &annotations_type, OPTIONAL, false },
	{ "StopSignal", &text_type, OPTIONAL, false },
	{ 0 },
};
static const struct type run_type = { STRUCT, NULL, run_fields };

static const struct field rootfs_fields[] = {
	{ "type", &text_type, NEEDED, false },
	{ "diff_ids", &texts_type, NEEDED, true },
	{ 0 },
};
static const struct type rootfs_type = { STRUCT, NULL, rootfs_fields };

static const struct field history_fields[] = {
	{ "created", &text_type, OPTIONAL, false },
	{ "author", &text_type, OPTIONAL, false },
	{ "created_by", &text_type, OPTIONAL, false },
	{ "comment", &text_type, OPTIONAL, false },
	{ "empty_layer", &boolean_type, OPTIONAL, false },
	{ 0 },
};
static const struct type history_entry_type = { STRUCT, NULL, history_fields };
static const struct type history_type = { LIST, &history_entry_type, NULL };

static const struct field config_fields[] = {
	{ "created", &text_type, OPTIONAL, false },
	{ "author", &text_type, OPTIONAL, false },
	{ "architecture", &text_type, NEEDED, false },
	{ "os", &text_type, NEEDED, false },
	{ "os.version", &text_type, OPTIONAL, false },
	{ "os.features", &texts_type, OPTIONAL, false },
	{ "variant", &text_type, OPTIONAL, false },
	{ "config", &run_type, OPTIONAL, false },
	{ "rootfs", &rootfs_type, NEEDED, true },
	{ "history", &history_type, OPTIONAL, false },
	{ 0 },
};

static const struct {
	const char *name;
	struct type type;
} documents[] = {
	[SFD_OCI_MANIFEST] = { "manifest", { STRUCT, NULL, manifest_fields } },
	[SFD_OCI_CONFIG] = { "config", { STRUCT, NULL, config_fields } },
	[SFD_OCI_INDEX] = { "index", { STRUCT, NULL, index_fields } },
};

/* Where a check is: a member, or an item of a list, below `up`. */
struct place {
	const struct place *up;
	struct sfd_json_value key; /* at NULL: */
	size_t item;
};

struct check {
	const char *document;
	enum sfd_oci_rules rules;
	struct splitfd_error *err;
};

static int put_place(struct sfd_buffer *out, const struct place *p)
{
	size_t n;
	int r;

	if (p == NULL || p->up == NULL)
		return 0;
	r = put_place(out, p->up);
	if (r < 0)
		return r;
	if (p->key.at == NULL)
		return sfd_buffer_printf(out, "[%zu]", p->item);
	n = (size_t)(p->key.end - p->key.at) - 2;
	return sfd_buffer_printf(
		out, "%s%.*s", out->len > 0 ? "." : "", n < 64 ? (int)n : 64, p->key.at + 1);
}

static int refuse(const struct check *c, const struct place *p, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct check *c, const struct place *p, const char *format, ...)
{
	sfd_cleanup_buffer struct sfd_buffer where = { .max = 512 };
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	/* A place that does not fit is cut. */
	(void)put_place(&where, p);
	return splitfd_error_set(c->err, SPLITFD_ERROR_REFUSED, EBADMSG,
		where.len > 0 ? "the %s's member '%.*s' %s" : "the %s%.*s %s", c->document,
		(int)where.len, where.len > 0 ? (const char *)where.data : "", why);
}

static bool is_component(const char *text, size_t n)
{
	return n > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") >= n;
}

bool sfd_oci_digest_ok(const char *digest)
{
	static const struct {
		const char *name;
		size_t digits;
	} known[] = { { "sha256", 64 }, { "sha384", 96 }, { "sha512", 128 } };
	const char *colon = strchr(digest, ':'), *p = digest;
	size_t len;

	if (colon == NULL || strlen(digest) > DIGEST_LEN_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(p, "+._-:");

		if (!is_component(p, n))
			return false;
		p += n + 1;
		if (p[-1] == ':')
			break;
	}
	len = strlen(p);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strncmp(digest, known[i].name, 6) == 0 && colon == digest + 6)
			return len == known[i].digits && strspn(p, "0123456789abcdef") == len;
	}
	return len > 0 && strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789=_-") == len;
}

static int check_text(
	const struct check *c, struct sfd_json_value v, bool is_digest, const struct place *p)
{
	sfd_cleanup_free char *copy = NULL;
	int r;

	if (sfd_json_kind(v) != SFD_JSON_STRING)
		return refuse(c, p, "is %s, not a string", sfd_json_kind_name(v));
	if (!sfd_json_string_ok(v))
		return refuse(c, p, "holds half a pair of surrogates");
	if (!is_digest)
		return 0;
	r = sfd_json_text(v, &copy, NULL);
	if (r == -ENOMEM)
		return splitfd_error_oom(c->err);
	if (r < 0 || !sfd_oci_digest_ok(copy))
		return refuse(c, p, "is not a digest");
	return 0;
}

static int check_number(
	const struct check *c, struct sfd_json_value v, uint64_t max, const struct place *p)
{
	uint64_t n;

	if (sfd_json_u64(v, &n) && n <= max)
		return 0;
	if (sfd_json_kind(v) != SFD_JSON_NUMBER)
		return refuse(c, p, "is %s, not a number", sfd_json_kind_name(v));
	return refuse(c, p, "is not a whole number from 0 to %llu", (unsigned long long)max);
}

static int check_kind(const struct check *c, struct sfd_json_value v, enum sfd_json_kind kind,
	const char *name, const struct place *p)
{
	if (sfd_json_kind(v) == kind)
		return 0;
	return refuse(c, p, "is %s, not %s", sfd_json_kind_name(v), name);
}

static int check_value(const struct check *c, struct sfd_json_value v, const struct type *type,
	const struct place *p);

static int check_items(const struct check *c, struct sfd_json_value v, const struct type *type,
	const struct place *p)
{
	struct sfd_json_items items = sfd_json_items(v);
	struct place here = { .up = p };
	int r = type->kind == LIST ? check_kind(c, v, SFD_JSON_ARRAY, "an array", p)
				   : check_kind(c, v, SFD_JSON_OBJECT, "an object", p);

	while (r == 0 && sfd_json_next(&items, &here.key, &v)) {
		if (type->kind == MAP && !sfd_json_string_ok(here.key))
			return refuse(c, p, "has a name with half a pair of surrogates");
		r = check_value(c, v, type->of, &here);
		here.item++;
	}
	return r;
}

/* The field of a member's name. Go takes a name for a field's that differs by case, too, where
 * serde takes it for an unknown one: *ret_twin. */
static const struct field *find_field(
	const struct field *fields, struct sfd_json_value key, bool *ret_twin)
{
	*ret_twin = false;
	for (; fields->name != NULL; fields++) {
		if (!sfd_json_is_nocase(key, fields->name))
			continue;
		*ret_twin = !sfd_json_is(key, fields->name);
		return fields;
	}
	return NULL;
}

static int check_struct(const struct check *c, struct sfd_json_value v, const struct field *fields,
	const struct place *p)
{
	struct sfd_json_items items = sfd_json_items(v);
	struct place here = { .up = p };
	bool seen[16] = { false }, twins[16] = { false }, twin;
	const struct field *f;
	int r = check_kind(c, v, SFD_JSON_OBJECT, "an object", p);

	while (r == 0 && sfd_json_next(&items, &here.key, &v)) {
		f = find_field(fields, here.key, &twin);
		if (!sfd_json_string_ok(here.key))
			return refuse(c, p, "has a name with half a pair of surrogates");
		if (f == NULL || (c->rules == SFD_OCI_STORE && !f->used))
			continue;
		if (!twin && seen[f - fields])
			return refuse(c, p, "has '%s' twice", f->name);
		if (twin ? seen[f - fields] : twins[f - fields])
			return refuse(c, p,
				"has '%s' in two spellings; some programs read the one, some the "
				"other",
				f->name);
		(twin ? twins : seen)[f - fields] = true;
		if (!twin && (f->presence == NEEDED || sfd_json_kind(v) != SFD_JSON_NULL))
			r = check_value(c, v, f->type, &here);
	}
	for (f = fields; r == 0 && c->rules == SFD_OCI_REPOSITORY && f->name != NULL; f++) {
		if (f->presence == NEEDED && !seen[f - fields])
			return refuse(c, p, "has no '%s'", f->name);
	}
	return r;
}

static int check_value(const struct check *c, struct sfd_json_value v, const struct type *type,
	const struct place *p)
{
	if (c->rules == SFD_OCI_STORE && sfd_json_kind(v) == SFD_JSON_NULL)
		return 0;
	switch (type->kind) {
	case TEXT:
		return check_text(c, v, false, p);
	case DIGEST:
		return check_text(c, v, true, p);
	case U32:
		return check_number(c, v, UINT32_MAX, p);
	case U64:
		return check_number(c, v, UINT64_MAX, p);
	case BOOL:
		return check_kind(c, v, SFD_JSON_BOOL, "a boolean", p);
	case EMPTY:
		if (sfd_json_kind(v) == SFD_JSON_ARRAY && sfd_json_count(v) == 0)
			return 0;
		return check_struct(c, v, no_fields, p);
	case STRUCT:
		return check_struct(c, v, type->fields, p);
	default:
		return check_items(c, v, type, p);
	}
}

int sfd_oci_check(const char *json, size_t size, enum sfd_oci_document_kind kind,
	enum sfd_oci_rules rules, struct sfd_json_value *ret, struct splitfd_error *err)
{
	const struct check c = { documents[kind].name, rules, err };
	struct place root = { 0 };
	const char *why;
	size_t offset;

	if (size > SFD_OCI_JSON_MAX)
		return refuse(&c, NULL, "is larger than %zu MiB", SFD_OCI_JSON_MAX / (1024 * 1024));
	if (sfd_json_check(json, size, ret, &why, &offset) < 0)
		return refuse(&c, NULL, "is not JSON: %s at byte %zu", why, offset);
	return check_value(&c, *ret, &documents[kind].type, &root);
}
