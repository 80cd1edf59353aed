/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_JSON_JSON_SCAN_H
#define SPLITFD_JSON_JSON_SCAN_H

/*
 * Where a JSON object ends that arrives in pieces (RFC 8259). The whole grammar is checked on the
 * way, so that what can never become JSON is known at its first wrong byte, and depth and number of
 * values are bounded before a parser takes memory for them. Only that the text is UTF-8, and that
 * surrogates come in pairs, is left to whoever has the whole.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Levels of objects and arrays. */
#define SFD_JSON_DEPTH_MAX 64

/* Starts as { .values_max = N }; to be set so again for the next object. */
struct sfd_json_scan {
	size_t values_max; /* objects, arrays, strings, names, numbers and words of the object */
	size_t values;
	int state;
	unsigned int depth;
	uint64_t objects; /* bit n: level n is an object, else an array */
	bool name;	  /* the string is a member's name */
	unsigned int step, code;
	const char *word; /* what is left of true, false, null */
};

/* Looks at the next n bytes. 1: the object is complete, its last byte is data[*ret_used - 1].
 * 0: all n bytes were looked at, more are needed. -EBADMSG: no JSON object (nor one whose strings
 * hold no NUL). -E2BIG: too deep, or too many values. After an error or 1 it is not called again.
 * Whitespace in front of the object is no part of it: the caller has skipped it. */
int sfd_json_scan(struct sfd_json_scan *s, const uint8_t *data, size_t n, size_t *ret_used);

/* Space, tab, line feed and carriage return. */
bool sfd_json_blank(uint8_t c);

#endif
