/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PULL_VARLINK_LAYER_H
#define SPLITFD_COPY_PULL_VARLINK_LAYER_H

/*
 * A layer of a composefs service as a chunk source.
 */

#include "splitfdstream/chunk.h"
#include "transport/composefs/client/oci-client.h"

struct sfd_pull_service {
	struct sfd_varlink *connection; /* borrowed */
	uint64_t handle;
	bool reads_all;			/* we can open what the service can */
	struct sfd_peer_opener *opener; /* of the files that it names; borrowed, or NULL */
	int timeout_ms;			/* its longest silence; < 0: for ever */
	int cancel_fd;			/* readable when waiting for it shall end; 0: none */
};

/* Calls GetLayer. The chunks are cut as the tar says, whatever the service makes of it. Every file
 * is open before its chunk is given, and what the service wants to be kept open is kept until the
 * source is freed: it may drop its lock then. `spool_dir` is borrowed. *ret is the caller's. */
int sfd_pull_varlink_layer(const struct sfd_pull_service *service, const char *diff_id,
	int spool_dir, struct splitfd_source **ret, struct splitfd_error *err);

#endif
