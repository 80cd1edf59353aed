/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OCI_CLIENT_PRIVATE_H
#define SPLITFD_COMPOSEFS_OCI_CLIENT_PRIVATE_H

/*
 * What the files of oci-client.h share: members of parameters.
 */

#include "splitfdstream/base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* -EBADMSG, kind REFUSED: the answer's member is missing or of a wrong type. */
int sfd_oci_bad_reply(struct splitfd_error *err, const char *method, const char *member);

/* False when memory is short; also where `object` is NULL. */
bool sfd_oci_add_u64(cJSON *object, const char *name, uint64_t value);

#endif
