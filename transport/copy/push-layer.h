/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_PUSH_LAYER_H
#define SPLITFD_COPY_PUSH_LAYER_H

/*
 * One layer into a composefs service: PutLayer with a pipe and directories, the stream into the
 * pipe, the answer.
 */

#include "splitfdstream/base/stop-event.h"
#include "transport/copy/listener.h"
#include "transport/copy/push-dirs.h"
#include "transport/composefs/client/oci-client.h"

struct sfd_push_service {
	struct sfd_varlink *connection;
	uint64_t handle;
	struct sfd_push_target target;
	bool zerocopy;			   /* the service shall fail rather than copy */
	int timeout_ms;			   /* the longest silence; < 0: for ever */
	const struct sfd_stop_event *stop; /* NULL: nothing ends it */
	const struct sfd_copy_listener *listener;
};

struct sfd_push_sent {
	uint64_t tar;	 /* bytes of the tar */
	uint64_t stream; /* bytes through the pipe: what was not opened by name */
};

/* Always takes `source`. `n` is the layer's index and `total` its size, for the listener. The
 * service has checked the layer's sha256 when this succeeds. */
int sfd_push_layer(struct sfd_push_service *service, const char *diff_id,
	struct splitfd_source *source, size_t n, uint64_t total, struct sfd_oci_put *ret,
	struct sfd_push_sent *sent, struct splitfd_error *err);

/* Reads a layer that the service did not take, and says what is wrong with it; 0: nothing. Always
 * takes `source`. */
int sfd_push_layer_fault(const struct sfd_push_service *service, const char *diff_id,
	struct splitfd_source *source, struct splitfd_error *err);

#endif
