/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a tar-split: the forms of Go's encoder directly, all others by cJSON. */
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/tar-split/tar-split.h"
#include "transport/json/json-tree.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

/* Opaque outside of this file: a cJSON tree whose strings an entry borrows. */
struct sfd_tar_split_tree;

/* Doubles are exact up to here, and no file system has larger files. */
#define SIZE_LIMIT ((uint64_t)1 << 53)

struct cursor {
	char *p, *end;
};

/* A string of the line, not yet decoded. */
struct span {
	char *p;
	size_t n;
};

struct line {
	bool is_segment, has_payload;
	struct span name, payload;
	uint64_t size;
};

static bool literal(struct cursor *c, const char *text, size_t n)
{
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
		return false;
	c->p += n;
	return true;
}

#define LITERAL(c, text) literal((c), (text), sizeof(text) - 1)

static bool number(struct cursor *c, uint64_t *ret)
{
	const char *start = c->p;
	uint64_t value = 0;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - start < 16)
		value = value * 10 + (uint64_t)(*c->p++ - '0');
	*ret = value;
	return c->p > start && (*start != '0' || c->p - start == 1) && value <= SIZE_LIMIT;
}

/* The rest of a string without escapes, behind its opening quote, and the closing quote. */
static bool plain_name(struct cursor *c, struct span *ret)
{
	char *p = c->p;

	while (p < c->end && (uint8_t)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	if (p == c->end || *p != '"')
		return false;
	*ret = (struct span){ c->p, (size_t)(p - c->p) };
	c->p = p + 1;
	return true;
}

/* The same for base64: what is not its alphabet fails when it is decoded. */
static bool plain_base64(struct cursor *c, struct span *ret)
{
	char *p = memchr(c->p, '"', (size_t)(c->end - c->p));

	if (p == NULL || memchr(c->p, '\\', (size_t)(p - c->p)) != NULL)
		return false;
	*ret = (struct span){ c->p, (size_t)(p - c->p) };
	c->p = p + 1;
	return true;
}

static bool common_payload(struct cursor *c, struct line *ret)
{
	uint64_t position;

	if (LITERAL(c, "\"payload\":\"")) {
		ret->has_payload = true;
		if (!plain_base64(c, &ret->payload))
			return false;
	} else if (!LITERAL(c, "\"payload\":null")) {
		return false;
	}
	return LITERAL(c, ",\"position\":") && number(c, &position) && LITERAL(c, "}");
}

/* The forms that Go's encoder gives to nearly every line. False for all else, also where the line
 * is not complete; nothing is altered. */
static bool common_line(struct cursor *c, struct line *ret)
{
	if (LITERAL(c, "{\"type\":2,")) {
		ret->is_segment = true;
		return common_payload(c, ret);
	}
	if (!LITERAL(c, "{\"type\":1,\"name\":\"") || !plain_name(c, &ret->name) ||
		!LITERAL(c, ","))
		return false;
	if (LITERAL(c, "\"size\":") && (!number(c, &ret->size) || !LITERAL(c, ",")))
		return false;
	return common_payload(c, ret);
}

static int decode(struct span text, const char **ret_why)
{
	ptrdiff_t n = sfd_base64_decode(text.p, text.n, (uint8_t *)text.p);

	if (n < 0)
		*ret_why = "not base64";
	/* 64 MiB of text at most, so it fits. */
	return (int)n;
}

static int finish(const struct line *line, struct sfd_tar_split_entry *ret, const char **ret_why)
{
	int n = line->has_payload ? decode(line->payload, ret_why) : 0;

	if (n < 0)
		return n;
	*ret = (struct sfd_tar_split_entry){
		.type = line->is_segment ? SFD_TAR_SPLIT_SEGMENT : SFD_TAR_SPLIT_FILE,
		.name = "",
		.size = line->size,
		.payload = (const uint8_t *)line->payload.p,
		.payload_len = (size_t)n,
	};
	if (line->name.p != NULL) {
		line->name.p[line->name.n] = '\0';
		ret->name = line->name.p;
		ret->name_len = line->name.n;
	}
	return 1;
}

/* Behind the opening quote: finds the string's end. 1, 0 (not complete), -EINVAL. */
static int skip_string(struct cursor *c, const char **ret_why)
{
	for (; c->p < c->end; c->p++) {
		size_t left = (size_t)(c->end - c->p);

		if ((uint8_t)*c->p < 0x20) {
			*ret_why = "control character in a JSON string";
			return -EINVAL;
		}
		if (*c->p == '"') {
			c->p++;
			return 1;
		}
		if (*c->p != '\\')
			continue;
		if (left >= 6 && memcmp(c->p, "\\u0000", 6) == 0) {
			*ret_why = "NUL in a JSON string";
			return -EINVAL;
		}
		c->p++;
	}
	return 0;
}

/* Finds the end of the object at c. 1, 0 (not complete), -EINVAL. */
static int skip_object(struct cursor *c, const char **ret_why)
{
	size_t depth = 0;

	if (*c->p != '{') {
		*ret_why = "not a JSON object";
		return -EINVAL;
	}
	while (c->p < c->end) {
		char byte = *c->p++;
		int r = 1;

		if (byte == '"') {
			r = skip_string(c, ret_why);
		} else if (byte == '{' || byte == '[') {
			depth++;
		} else if (byte == '}' || byte == ']') {
			depth--;
		} else if (byte == '\0') {
			*ret_why = "NUL in the JSON";
			r = -EINVAL;
		}
		if (r <= 0 || depth == 0)
			return r;
	}
	return 0;
}

/* The only member of that name. NULL where there is none; *ret_why is set where it is given twice
 * (Go takes the last, others the first). */
static cJSON *member(const cJSON *object, const char *key, const char **ret_why)
{
	cJSON *found = NULL, *item;

	cJSON_ArrayForEach (item, object) {
		if (item->string == NULL || strcmp(item->string, key) != 0)
			continue;
		if (found != NULL)
			*ret_why = "a key is given twice";
		found = item;
	}
	return found;
}

/* A string member, or nothing where it is absent or null. */
static struct span text_member(const cJSON *object, const char *key, const char **ret_why)
{
	cJSON *item = member(object, key, ret_why);

	if (item == NULL || cJSON_IsNull(item))
		return (struct span){ 0 };
	if (!cJSON_IsString(item)) {
		*ret_why = "a value of the wrong type";
		return (struct span){ 0 };
	}
	return (struct span){ item->valuestring, strlen(item->valuestring) };
}

static uint64_t number_member(const cJSON *object, const char *key, const char **ret_why)
{
	cJSON *item = member(object, key, ret_why);

	if (item == NULL)
		return 0;
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
		item->valuedouble > (double)SIZE_LIMIT ||
		item->valuedouble != floor(item->valuedouble)) {
		*ret_why = "not a whole number in range";
		return 0;
	}
	return (uint64_t)item->valuedouble;
}

/* Any other form: name_raw, escapes, other order, spaces. */
static int any_line(const cJSON *tree, struct line *ret, const char **ret_why)
{
	struct span raw = text_member(tree, "name_raw", ret_why);
	uint64_t type = number_member(tree, "type", ret_why);

	ret->name = text_member(tree, "name", ret_why);
	ret->payload = text_member(tree, "payload", ret_why);
	ret->has_payload = ret->payload.p != NULL;
	ret->size = number_member(tree, "size", ret_why);
	ret->is_segment = type == SFD_TAR_SPLIT_SEGMENT;
	if (*ret_why == NULL && type != SFD_TAR_SPLIT_FILE && type != SFD_TAR_SPLIT_SEGMENT)
		*ret_why = "neither a file nor a segment";
	if (*ret_why == NULL && raw.n > 0) {
		int n = decode(raw, ret_why);

		if (n >= 0 && memchr(raw.p, '\0', (size_t)n) != NULL)
			*ret_why = "NUL in a name";
		ret->name = (struct span){ raw.p, n < 0 ? 0 : (size_t)n };
	}
	return *ret_why == NULL ? 0 : -EINVAL;
}

int sfd_tar_split_scan(char *text, size_t n, struct sfd_tar_split_entry *ret, size_t *ret_used,
	struct sfd_tar_split_tree **tree, const char **ret_why)
{
	struct cursor c = { text, text + n };
	struct line line = { 0 };
	cJSON *parsed;
	int r;

	*ret_why = NULL;
	if (common_line(&c, &line)) {
		*ret_used = (size_t)(c.p - text);
		return finish(&line, ret, ret_why);
	}
	c.p = text;
	line = (struct line){ 0 };
	r = skip_object(&c, ret_why);
	if (r <= 0)
		return r;
	r = sfd_json_tree(text, (size_t)(c.p - text), &parsed);
	if (r == -ENOMEM) {
		*ret_why = "out of memory";
		return r;
	}
	if (r < 0) {
		*ret_why = "not JSON";
		return -EINVAL;
	}
	*tree = (struct sfd_tar_split_tree *)parsed;
	r = any_line(parsed, &line, ret_why);
	if (r < 0)
		return r;
	*ret_used = (size_t)(c.p - text);
	return finish(&line, ret, ret_why);
}

struct sfd_tar_split_tree *sfd_tar_split_drop(struct sfd_tar_split_tree *tree)
{
	cJSON_Delete((cJSON *)tree);
	return NULL;
}
