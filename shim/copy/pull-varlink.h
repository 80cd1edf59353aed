/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_VARLINK_H
#define SPLITFD_SHIM_PULL_VARLINK_H

/*
 * Pulls from a composefs service: varlink:SOCKET#IMAGE.
 */

#include "shim/copy/pull.h"

/* Inspect, then GetLayer for each layer that is missing. The sha256 of manifest (where the image is
 * named by it), config and layers is always checked. */
int sfd_pull_from_varlink(struct sfd_pull *pull, struct splitfd_error *err);

#endif
