/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_REFERENCE_H
#define SPLITFD_COPY_REFERENCE_H

/*
 * References to images by their words: a row for each prefix.
 */

#include "splitfdstream/base/error.h"

#include <limits.h>

enum sfd_reference_kind {
	SFD_REFERENCE_STORE, /* containers-storage, also a bare reference */
	SFD_REFERENCE_SKOPEO,
	SFD_REFERENCE_VARLINK,
	SFD_REFERENCE_JSONRPC,
};

enum sfd_reference_kind sfd_reference_kind(const char *reference);

/* TRANSPORT:SOCKET#IMAGE, an image of a service. SOCKET is a path, or @NAME of an abstract socket;
 * the last # ends it, because no name of an image has one. *ret_socket is the caller's, *ret_image
 * points into the reference. USAGE where it is not one. */
int sfd_service_reference(const char *reference, char **ret_socket, const char **ret_image,
	struct splitfd_error *err);

/* A repository's path for another process, whose working directory may be another one. */
int sfd_repo_absolute(const char *path, char ret[PATH_MAX], struct splitfd_error *err);

#endif
