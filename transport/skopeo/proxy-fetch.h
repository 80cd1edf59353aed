/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_FETCH_H
#define SPLITFD_SKOPEO_PROXY_FETCH_H

/*
 * Whole documents through a proxy. The pipe of a reply has no end before FinishPipe, and FinishPipe
 * has no answer before the pipe is drained: so both go on at once.
 */

#include "transport/skopeo/proxy-client.h"

/* Calls `method`, reads its pipe to the end and finishes it. *ret_data is malloc'd, the caller's,
 * with a NUL behind *ret_size bytes; more than `max` is an error. *ret_value, where not NULL, is
 * the reply's value as a string (malloc'd), or NULL where it is none. */
int sfd_proxy_fetch(struct sfd_proxy *proxy, const char *method, const char *args, size_t max,
	char **ret_data, size_t *ret_size, char **ret_value, struct splitfd_error *err);

/* FinishPipe; its error is the blob's. */
int sfd_proxy_finish(struct sfd_proxy *proxy, uint32_t pipeid, struct splitfd_error *err);

#endif
