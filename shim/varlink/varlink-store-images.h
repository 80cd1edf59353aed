/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_STORE_IMAGES_H
#define SPLITFD_SHIM_VARLINK_STORE_IMAGES_H

/*
 * ListImages and Inspect of a store.
 */

#include "shim/varlink/varlink-session.h"

sfd_varlink_method sfd_varlink_store_list_images;
sfd_varlink_method sfd_varlink_store_inspect;

/* The store that is served, opened: 1, *ret is the caller's. 0 where it cannot be: the result is
 * RepoNotFound. */
int sfd_varlink_store(struct sfd_varlink_session *s, struct splitfd_store **ret,
	struct sfd_varlink_result *result, struct splitfd_error *err);

#endif
