/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_FSCK_JSON_H
#define SPLITFD_SHIM_FSCK_JSON_H

/*
 * The report of a check as JSON, with cfsctl's members, for 'splitfd fsck --json' and for varlink.
 */

#include "transport/composefs/fsck/fsck.h"

#include <cjson/cJSON.h>

/* Fills the object with what was found of the repository alone. `layers`: also how many layers were
 * put together, which cfsctl does not do. False where memory is short; `object` may be NULL then.
 */
bool sfd_fsck_json_repository(cJSON *object, const struct sfd_fsck_report *report, bool layers);

/* The same of the tagged images, with the repository as a member. */
bool sfd_fsck_json_images(cJSON *object, const struct sfd_fsck_report *report, bool layers);

#endif
