/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_REPORT_H
#define SPLITFD_SHIM_REPORT_H

/*
 * What is printed of an import: in cfsctl's words for people, as JSON for programs.
 */

#include "transport/composefs/repository.h"

#include <cjson/cJSON.h>
#include <stdio.h>

/* Bytes in IEC units with two decimals from 1 KiB up, as cfsctl prints them ("100 B",
 * "10.23 KiB"); at most 32 bytes at `text`, NUL included. */
void sfd_format_bytes(uint64_t bytes, char text[32]);

/* The line behind "objects": counts and bytes of an import, without a newline. */
void sfd_print_stats(FILE *out, const struct splitfd_import_stats *stats);

/* The same as a string; NULL when memory is short. The caller's. */
char *sfd_stats_text(const struct splitfd_import_stats *stats);

/* The same as a JSON object; NULL when memory is short. The caller's. */
cJSON *sfd_stats_json(const struct splitfd_import_stats *stats);

/* Prints a name or another text that came from a store, a repository or the command line: what a
 * terminal could be misled by is shown as \xHH. */
void sfd_print_text(FILE *out, const char *text);

/* The columns that this takes, where no character is wide. */
size_t sfd_text_columns(const char *text);

/* {"NAME": [ … ]} of n objects, each filled by `fill` (false when memory is short); NULL when
 * memory is short. The caller's. */
cJSON *sfd_list_json(const char *name, size_t n,
	bool (*fill)(const void *list, size_t i, cJSON *object), const void *list);

/* Prints a JSON value and a newline to stdout and frees it; bytes that are not UTF-8 become U+FFFD.
 * -ENOMEM where value is NULL. */
int sfd_print_json(cJSON *value, struct splitfd_error *err);

#endif
