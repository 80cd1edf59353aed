/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_POLICY_SCOPES_H
#define SPLITFD_SKOPEO_POLICY_SCOPES_H

/*
 * The names under which policy.json knows an image. Source of the rules: containers-transports(5),
 * containers-policy.json(5), as observed.
 */

#include "splitfdstream/base/error.h"

/* `rest`: the reference behind the store's specifier; `image_id`: of the image that it found.
 * *ret is the NULL-terminated list that sfd_policy_verdict takes, identity first; the caller frees
 * it with sfd_policy_scopes_free. */
int sfd_policy_scopes(const char *rest, const char *driver, const char *graphroot,
	const char *image_id, char ***ret, struct splitfd_error *err);
/* The same for a reference of another transport, TRANSPORT:REST. 1; 0 where its names are not known
 * here (docker-daemon:, atomic:, ostree:, and containers-storage:, whose names need the image). */
int sfd_policy_scopes_of(const char *reference, char ***ret, struct splitfd_error *err);
void sfd_policy_scopes_free(char **scopes);

#endif
