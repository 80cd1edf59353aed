/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_JSON_JSON_VALUE_H
#define SPLITFD_JSON_JSON_VALUE_H

/*
 * A JSON text that is read where it lies: nothing is allocated, and nothing is lost that a tree of
 * doubles and C strings would lose (integers beyond 2^53, 1.0 against 1, NUL in a string, members
 * given twice). For documents of bounded size that others have to read the same way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Levels of objects and arrays: the bound of Go's encoding/json. */
#define SFD_JSON_LEVELS_MAX 10000

/* One value: the bytes of it, without the space around. Points into the text. */
struct sfd_json_value {
	const char *at, *end;
};

enum sfd_json_kind {
	SFD_JSON_NULL,
	SFD_JSON_BOOL,
	SFD_JSON_NUMBER,
	SFD_JSON_STRING,
	SFD_JSON_ARRAY,
	SFD_JSON_OBJECT,
};

/* Checks that the text is one JSON value (RFC 8259) in UTF-8, with space around at most. 0, or
 * -EBADMSG with what is wrong and the offset of the byte. Escaped surrogates are not paired here,
 * see sfd_json_string_ok(). All functions below want a value of a text that was checked so. */
int sfd_json_check(const char *text, size_t size, struct sfd_json_value *ret, const char **ret_why,
	size_t *ret_offset);

enum sfd_json_kind sfd_json_kind(struct sfd_json_value v);
/* "null", "a boolean", "a number", "a string", "an array", "an object" */
const char *sfd_json_kind_name(struct sfd_json_value v);

/* The items of an array, or the members of an object; of anything else there are none. */
struct sfd_json_items {
	const char *at, *end;
	bool object;
};

struct sfd_json_items sfd_json_items(struct sfd_json_value v);
/* False at the end. key is set for members only, and may be NULL. */
bool sfd_json_next(
	struct sfd_json_items *items, struct sfd_json_value *key, struct sfd_json_value *ret);
size_t sfd_json_count(struct sfd_json_value v);

/* The first member of that name. False where there is none, or v is not an object. */
bool sfd_json_find(struct sfd_json_value v, const char *name, struct sfd_json_value *ret);

/* True where surrogates come in pairs, so that the string has a form in UTF-8. */
bool sfd_json_string_ok(struct sfd_json_value string);
/* True where v is the string `text`. */
bool sfd_json_is(struct sfd_json_value v, const char *text);
/* The same, letters of ASCII compared without case. */
bool sfd_json_is_nocase(struct sfd_json_value v, const char *text);
/* The string unescaped, with a NUL at its end: the caller's. *ret_len may be NULL; then -EBADMSG
 * where the string holds a NUL. -EBADMSG where it is not a string or not sfd_json_string_ok();
 * -ENOMEM. */
int sfd_json_text(struct sfd_json_value v, char **ret, size_t *ret_len);

/* A number without sign, point and exponent that fits. */
bool sfd_json_u64(struct sfd_json_value v, uint64_t *ret);

#endif
