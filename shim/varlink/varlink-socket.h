/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_SOCKET_H
#define SPLITFD_SHIM_VARLINK_SOCKET_H

/*
 * Connected sockets on which this process speaks varlink in threads of its own: org.composefs.Oci's
 * GetInfo, HasLayer and GetLayer, of a store or of one image. It ends them all at once.
 */

#include "transport/containers-storage/store.h"

/* Sockets of one owner. */
#define SFD_VARLINK_SOCKETS_MAX 16

struct sfd_varlink_sockets;

/* timeout_ms: how long a client may be silent in the middle of something. */
int sfd_varlink_sockets_new(
	int timeout_ms, struct sfd_varlink_sockets **ret, struct splitfd_error *err);

/* Ends the threads and closes all. NULL is allowed. Returns NULL. */
struct sfd_varlink_sockets *sfd_varlink_sockets_free(struct sfd_varlink_sockets *sockets);

/* A new socket that serves the layers of this store; or, where image is not NULL, of that image
 * only. Takes both, always. *ret_fd, the client's end, is the caller's. -EMFILE where there are too
 * many. */
int sfd_varlink_sockets_open(struct sfd_varlink_sockets *sockets, struct splitfd_store *store,
	struct splitfd_image *image, int *ret_fd, struct splitfd_error *err);

/* Cuts the specifier of a store, "[DRIVER@ROOT+RUNROOT:OPTIONS]" or "" for the default one:
 * *options borrow from *ret_text, which the caller frees. */
int sfd_varlink_parse_spec(const char *spec, struct splitfd_store_options *options, char **ret_text,
	struct splitfd_error *err);

#endif
