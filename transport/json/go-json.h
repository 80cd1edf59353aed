/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_JSON_GO_JSON_H
#define SPLITFD_JSON_GO_JSON_H

/*
 * JSON as Go's encoding/json reads and writes it: what clients of the proxy are used to, and what
 * digests of converted documents hang on.
 */

#include "splitfdstream/base/buffer.h"

#include <cjson/cJSON.h>

/* Appends `text` as a JSON string with its quotes: "<", ">", "&", U+2028 and U+2029 escaped too,
 * bytes that are not UTF-8 replaced by U+FFFD. 0, -ENOBUFS, -ENOMEM. */
int sfd_json_string(struct sfd_buffer *b, const char *text);
/* The same of `len` bytes, NULs among them. */
int sfd_json_string_n(struct sfd_buffer *b, const char *text, size_t len);

/* A member of an object: the last one of that name in any case of ASCII letters, or NULL. JSON null
 * is NULL, except behind a text, where it is passed over. */
const cJSON *sfd_json_member(const cJSON *object, const char *key);

/* What a value is called in error texts: "string", "float64", "[]interface {}" … */
const char *sfd_json_type(const cJSON *value);

/* A whole text that is exactly one JSON object (RFC 8259). -EBADMSG otherwise, where a string holds
 * NUL, or where it is deeper than SFD_JSON_DEPTH_MAX; -ENOMEM. *ret is NULL where it fails. */
int sfd_json_parse(const char *text, size_t len, cJSON **ret);

#endif
