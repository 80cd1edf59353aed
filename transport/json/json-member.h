/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_JSON_JSON_MEMBER_H
#define SPLITFD_JSON_JSON_MEMBER_H

/*
 * Members of cJSON's objects by their types. Names are compared with their case; of a member that
 * comes twice the first counts.
 */

#include "splitfdstream/base/cleanup.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* cJSON keeps numbers as doubles: up to 2^53 whole ones are exact, from there on two of them may be
 * the same. */
#define SFD_JSON_EXACT_MAX 9007199254740992.0

SFD_DEFINE_CLEANUP(sfd_cleanup_json_, cJSON, cJSON_Delete);
#define sfd_cleanup_json sfd_cleanup(sfd_cleanup_json_)

/* A string; NULL where there is none of that name. */
const char *sfd_member_text(const cJSON *object, const char *name);

/* A whole number from 0 to 2^53; false where there is none of that name. */
bool sfd_member_u64(const cJSON *object, const char *name, uint64_t *ret);

/* Gives `item` (NULL where memory was short) to an object. False, and it is freed, where that
 * fails. */
bool sfd_json_add(cJSON *object, const char *name, cJSON *item);
/* A string, or null where `text` is NULL; what is not UTF-8 is replaced. False when memory is
 * short.
 */
bool sfd_json_add_text(cJSON *object, const char *name, const char *text);

/* A whole number of at most `max` (up to 2^53) above and below 0. */
bool sfd_json_is_whole(const cJSON *item, double max);

#endif
