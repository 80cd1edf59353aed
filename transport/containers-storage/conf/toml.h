/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_TOML_H
#define SPLITFD_CONTAINERS_STORAGE_TOML_H

/*
 * The subset of TOML 1.0 that storage.conf and registries.conf use, read strictly: tables, dotted
 * and quoted keys, strings of all four kinds, arrays of strings with container-libs' {append=true},
 * booleans, integers, inline tables, comments; of arrays of tables [[registry]] and
 * [[registry.mirror]]. All else is an error with file and line.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum sfd_toml_type {
	SFD_TOML_STRING,
	SFD_TOML_BOOL,
	SFD_TOML_INTEGER,
	SFD_TOML_ARRAY,
	SFD_TOML_TABLE, /* no value: one more element of an array of tables begins */
};

enum sfd_toml_append {
	SFD_TOML_UNSAID = 0,
	SFD_TOML_APPEND,  /* {append=true} was in the array */
	SFD_TOML_REPLACE, /* {append=false} */
};

/* A value; all borrowed, gone when the callback returns. */
struct sfd_toml_value {
	enum sfd_toml_type type;
	const char *text; /* STRING: its text; BOOL, INTEGER: the word as written */
	bool truth;	  /* BOOL */
	char **items;	  /* ARRAY */
	size_t n_items;
	enum sfd_toml_append append;
	unsigned int parts;    /* of the key */
	unsigned int elements; /* arrays of tables around it: 1 in [[registry]], 2 in its mirrors */
	const char *file;
	unsigned int line; /* where the value ended */
};

/* Takes one value; `key` is written with dots from the top. 0, or -errno, which ends the parse. */
typedef int sfd_toml_set(
	void *ctx, const char *key, const struct sfd_toml_value *value, struct splitfd_error *err);

/* Reads `size` bytes and calls `set` for each value in order. `file` names the text in errors (kind
 * USAGE). Whether a key comes twice is the callback's affair. */
int sfd_toml_parse(const char *text, size_t size, const char *file, sfd_toml_set *set, void *ctx,
	struct splitfd_error *err);

#endif
