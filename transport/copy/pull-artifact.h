/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_ARTIFACT_H
#define SPLITFD_COPY_PULL_ARTIFACT_H

/*
 * Artifacts: manifests whose layers are blobs of any kind, stored as they are.
 */

#include "transport/copy/pull.h"
#include "transport/skopeo/proxy-image.h"

/* Stores the blobs of an artifact; sfd_pull_end() does the rest. After sfd_pull_begin() without
 * layers. */
int sfd_pull_artifact(struct sfd_pull *pull, struct sfd_remote_image *image, int stall_ms,
	struct splitfd_error *err);

#endif
