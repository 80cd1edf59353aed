/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_PROXY_H
#define SPLITFD_COPY_PULL_PROXY_H

/*
 * Pulls by way of skopeo's image proxy: docker://, oci:, oci-archive:, docker-archive:, dir:, …
 */

#include "transport/copy/pull.h"

/* Feeds all layers, side by side, the largest first. */
int sfd_pull_from_proxy(struct sfd_pull *pull, struct splitfd_error *err);

#endif
