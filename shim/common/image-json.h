/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_IMAGE_JSON_H
#define SPLITFD_SHIM_IMAGE_JSON_H

/*
 * An image of a repository as `images --json` and org.composefs.Oci's ListImages give it.
 */

#include "transport/composefs/images/listing.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* False when memory is short. */
bool sfd_image_json(cJSON *object, const struct sfd_image_row *row);

#endif
