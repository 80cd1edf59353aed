/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_JSON_JSON_TREE_H
#define SPLITFD_JSON_JSON_TREE_H

/*
 * cJSON's parser, which has one answer for text that is malformed and for memory that is short.
 * Whoever is told that a file is damaged may delete it: here they are told apart.
 */

#include <cjson/cJSON.h>
#include <stddef.h>

/* The value at the start of the text; what follows it is not looked at. 0; -ENOMEM; -EBADMSG. *ret
 * is NULL where it fails. */
int sfd_json_tree(const char *text, size_t size, cJSON **ret);

/* The same, where nothing but blanks may follow; text[size] is NUL. *ret_at (may be NULL) is the
 * offset near which it is malformed. */
int sfd_json_tree_whole(const char *text, size_t size, cJSON **ret, size_t *ret_at);

#endif
