/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/json/json-value.h"

#include "splitfdstream/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the text is read with: `p` stops at the byte that is wrong, and `why` says how. */
struct reader {
	const char *p, *end;
	const char *why;
};

static bool wrong(struct reader *r, const char *why)
{
	r->why = why;
	return false;
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool skip_word(struct reader *r, const char *word)
{
	for (; *word != '\0'; word++, r->p++) {
		if (r->p == r->end || *r->p != *word)
			return wrong(r, "a value is expected");
	}
	return true;
}

static bool skip_digits(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from ? true : wrong(r, "a digit is expected");
}

static bool skip_number(struct reader *r)
{
	if (*r->p == '-')
		r->p++;
	if (r->p < r->end && *r->p == '0')
		r->p++;
	else if (!skip_digits(r))
		return false;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!skip_digits(r))
			return false;
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		return skip_digits(r);
	}
	return true;
}

static bool skip_escape(struct reader *r)
{
	if (r->p == r->end || *r->p == '\0' || strchr("\"\\/bfnrtu", *r->p) == NULL)
		return wrong(r, "the escape is unknown");
	if (*r->p++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, r->p++) {
		if (r->p == r->end || !isxdigit((unsigned char)*r->p))
			return wrong(r, "a hexadecimal digit is expected");
	}
	return true;
}

static bool skip_string(struct reader *r)
{
	r->p++;
	while (r->p < r->end) {
		unsigned char c = (unsigned char)*r->p;

		if (c < 0x20)
			return wrong(r, "a control character stands in a string");
		r->p++;
		if (c == '"')
			return true;
		if (c == '\\' && !skip_escape(r))
			return false;
	}
	return wrong(r, "the string does not end");
}

static bool skip_scalar(struct reader *r)
{
	switch (*r->p) {
	case '"':
		return skip_string(r);
	case 't':
		return skip_word(r, "true");
	case 'f':
		return skip_word(r, "false");
	case 'n':
		return skip_word(r, "null");
	default:
		if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
			return skip_number(r);
		return wrong(r, "a value is expected");
	}
}

/* The levels that are open: one bit each, set for an object. */
struct levels {
	uint64_t objects[(SFD_JSON_LEVELS_MAX + 63) / 64];
	size_t n;
};

static bool in_object(const struct levels *l)
{
	return (l->objects[(l->n - 1) / 64] >> ((l->n - 1) % 64) & 1) != 0;
}

static bool open_level(struct reader *r, struct levels *l)
{
	uint64_t bit = (uint64_t)1 << (l->n % 64), *word = &l->objects[l->n / 64];

	if (l->n == SFD_JSON_LEVELS_MAX)
		return wrong(r, "it is nested too deeply");
	*word = *r->p == '{' ? *word | bit : *word & ~bit;
	l->n++;
	r->p++;
	return true;
}

/* A member's name and its colon. */
static bool skip_name(struct reader *r)
{
	skip_space(r);
	if (r->p == r->end || *r->p != '"')
		return wrong(r, "a member's name is expected");
	if (!skip_string(r))
		return false;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return wrong(r, "a colon is expected");
	r->p++;
	return true;
}

/* Behind a value: what closes levels, or a comma and then the next value. */
static bool skip_closing(struct reader *r, struct levels *l)
{
	while (l->n > 0) {
		skip_space(r);
		if (r->p == r->end)
			return wrong(r, "it ends too early");
		if (*r->p == ',') {
			r->p++;
			return in_object(l) ? skip_name(r) : true;
		}
		if (*r->p != (in_object(l) ? '}' : ']'))
			return wrong(r, "a comma or a closing bracket is expected");
		r->p++;
		l->n--;
	}
	return true;
}

/* Goes past one value; r->p is at its first byte, or at space before it. */
static bool skip_value(struct reader *r)
{
	struct levels l;

	l.n = 0;
	do {
		skip_space(r);
		if (r->p == r->end)
			return wrong(r, "it ends too early");
		if (*r->p != '{' && *r->p != '[') {
			if (!skip_scalar(r) || !skip_closing(r, &l))
				return false;
			continue;
		}
		if (!open_level(r, &l))
			return false;
		skip_space(r);
		if (r->p < r->end && *r->p == (in_object(&l) ? '}' : ']')) {
			if (!skip_closing(r, &l))
				return false;
		} else if (in_object(&l) && !skip_name(r))
			return false;
	} while (l.n > 0);
	return true;
}

static size_t utf8_prefix(const char *text, size_t size)
{
	size_t at = 0;

	/* Whole pieces that end before a character begins, then the one that is not right. */
	while (at < size) {
		size_t n = size - at < 4096 ? size - at : 4096;

		while (n > 0 && at + n < size && ((unsigned char)text[at + n] & 0xc0) == 0x80)
			n--;
		if (n == 0 || !sfd_utf8_valid(text + at, n))
			return at;
		at += n;
	}
	return size;
}

int sfd_json_check(const char *text, size_t size, struct sfd_json_value *ret, const char **ret_why,
	size_t *ret_offset)
{
	struct reader r = { .p = text, .end = text + size };

	if (utf8_prefix(text, size) < size) {
		*ret_why = "it is not UTF-8";
		*ret_offset = utf8_prefix(text, size);
		return -EBADMSG;
	}
	skip_space(&r);
	ret->at = r.p;
	if (skip_value(&r)) {
		ret->end = r.p;
		skip_space(&r);
		if (r.p == r.end)
			return 0;
		r.why = "text follows its end";
	}
	*ret_why = r.why;
	*ret_offset = (size_t)(r.p - text);
	return -EBADMSG;
}

enum sfd_json_kind sfd_json_kind(struct sfd_json_value v)
{
	switch (*v.at) {
	case 'n':
		return SFD_JSON_NULL;
	case 't':
	case 'f':
		return SFD_JSON_BOOL;
	case '"':
		return SFD_JSON_STRING;
	case '[':
		return SFD_JSON_ARRAY;
	case '{':
		return SFD_JSON_OBJECT;
	default:
		return SFD_JSON_NUMBER;
	}
}

const char *sfd_json_kind_name(struct sfd_json_value v)
{
	static const char *const names[] = { [SFD_JSON_NULL] = "null",
		[SFD_JSON_BOOL] = "a boolean",
		[SFD_JSON_NUMBER] = "a number",
		[SFD_JSON_STRING] = "a string",
		[SFD_JSON_ARRAY] = "an array",
		[SFD_JSON_OBJECT] = "an object" };

	return names[sfd_json_kind(v)];
}

struct sfd_json_items sfd_json_items(struct sfd_json_value v)
{
	bool object = *v.at == '{';

	if (!object && *v.at != '[')
		return (struct sfd_json_items){ v.end, v.end, false };
	return (struct sfd_json_items){ v.at + 1, v.end - 1, object };
}

bool sfd_json_next(
	struct sfd_json_items *items, struct sfd_json_value *key, struct sfd_json_value *ret)
{
	struct reader r = { .p = items->at, .end = items->end };

	skip_space(&r);
	if (r.p < r.end && *r.p == ',')
		r.p++;
	skip_space(&r);
	if (r.p == r.end)
		return false;
	if (items->object) {
		const char *name = r.p;

		(void)skip_string(&r);
		if (key != NULL)
			*key = (struct sfd_json_value){ name, r.p };
		skip_space(&r);
		r.p++; /* the colon */
		skip_space(&r);
	}
	ret->at = r.p;
	(void)skip_value(&r);
	ret->end = r.p;
	items->at = r.p;
	return true;
}

size_t sfd_json_count(struct sfd_json_value v)
{
	struct sfd_json_items items = sfd_json_items(v);
	struct sfd_json_value item;
	size_t n = 0;

	while (sfd_json_next(&items, NULL, &item))
		n++;
	return n;
}

bool sfd_json_find(struct sfd_json_value v, const char *name, struct sfd_json_value *ret)
{
	struct sfd_json_items items = sfd_json_items(v);
	struct sfd_json_value key;

	if (!items.object)
		return false;
	while (sfd_json_next(&items, &key, ret)) {
		if (sfd_json_is(key, name))
			return true;
	}
	return false;
}

static unsigned int hex4(const char *p)
{
	unsigned int n = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i];

		n = (n << 4) + (c & 0xfu) + (c > 0x39 ? 9u : 0u);
	}
	return n;
}

static int put_utf8(unsigned int c, char out[4])
{
	int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (int i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[n] | c);
	return n;
}

/* The escape behind a backslash; -EBADMSG for half a pair of surrogates. */
static int next_escaped(struct reader *r, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = *r->p++;
	unsigned int high, low;

	if (c != 'u') {
		out[0] = to[strchr(from, c) - from];
		return 1;
	}
	high = hex4(r->p);
	r->p += 4;
	if (high < 0xd800 || high > 0xdfff)
		return put_utf8(high, out);
	if (high > 0xdbff || r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
		return -EBADMSG;
	low = hex4(r->p + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return -EBADMSG;
	r->p += 6;
	return put_utf8(0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00)), out);
}

/* The next bytes of a string; r is within its quotes. 0 at the end. */
static int next_bytes(struct reader *r, char out[4])
{
	if (r->p == r->end)
		return 0;
	out[0] = *r->p++;
	return out[0] == '\\' ? next_escaped(r, out) : 1;
}

static struct reader within(struct sfd_json_value string)
{
	return (struct reader){ .p = string.at + 1, .end = string.end - 1 };
}

bool sfd_json_string_ok(struct sfd_json_value string)
{
	struct reader r = within(string);
	char out[4];
	int n;

	do
		n = next_bytes(&r, out);
	while (n > 0);
	return n == 0;
}

static bool is_text(struct sfd_json_value v, const char *text, bool nocase)
{
	struct reader r;
	char out[4];
	int n;

	if (*v.at != '"')
		return false;
	r = within(v);
	while ((n = next_bytes(&r, out)) > 0) {
		for (int i = 0; i < n; i++, text++) {
			char a = out[i], b = *text;

			if (nocase && isascii(a) && isascii(b)) {
				a = (char)tolower(a);
				b = (char)tolower(b);
			}
			if (b == '\0' || a != b)
				return false;
		}
	}
	return n == 0 && *text == '\0';
}

bool sfd_json_is(struct sfd_json_value v, const char *text)
{
	return is_text(v, text, false);
}

bool sfd_json_is_nocase(struct sfd_json_value v, const char *text)
{
	return is_text(v, text, true);
}

int sfd_json_text(struct sfd_json_value v, char **ret, size_t *ret_len)
{
	struct reader r;
	char *text, out[4];
	size_t len = 0;
	int n;

	if (*v.at != '"')
		return -EBADMSG;
	r = within(v);
	/* No escape is shorter than what it stands for. */
	text = malloc((size_t)(v.end - v.at));
	if (text == NULL)
		return -ENOMEM;
	while ((n = next_bytes(&r, out)) > 0) {
		memcpy(text + len, out, (size_t)n);
		len += (size_t)n;
	}
	text[len] = '\0';
	if (n < 0 || (ret_len == NULL && strlen(text) != len)) {
		free(text);
		return -EBADMSG;
	}
	if (ret_len != NULL)
		*ret_len = len;
	*ret = text;
	return 0;
}

bool sfd_json_u64(struct sfd_json_value v, uint64_t *ret)
{
	uint64_t n = 0;

	if (v.at == v.end)
		return false;
	for (const char *p = v.at; p < v.end; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}
