/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_SERVED_H
#define SPLITFD_SHIM_VARLINK_SERVED_H

/*
 * What the service was started for, and nothing else.
 */

#include "shim/varlink/varlink-session.h"

/* True where `path`, as a client names it, is the folder `served`. */
bool sfd_varlink_is_served(const char *served, const char *path);

/* The answer of org.composefs.Oci.GetInfo; `features` ends with NULL. */
int sfd_varlink_features(
	const char *const *features, struct sfd_varlink_result *ret, struct splitfd_error *err);

#endif
