/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_TRANSPORTS_H
#define SPLITFD_COPY_PULL_TRANSPORTS_H

/*
 * Which transport reads an image: a row for each kind of reference.
 */

#include "transport/copy/pull.h"

/* Checks the reference's words, without opening anything. USAGE. */
int sfd_pull_check(const struct sfd_pull_options *options, struct splitfd_error *err);

/* True where the image is one of a containers-storage store that is read here. */
bool sfd_pull_is_store(const struct sfd_pull_options *options);

/* All layers by the reference's transport, then sfd_pull_end. */
int sfd_pull_run(struct sfd_pull *pull, struct splitfd_error *err);

#endif
