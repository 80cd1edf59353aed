/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_METHODS_H
#define SPLITFD_SHIM_PROXY_METHODS_H

/*
 * The methods of the image proxy.
 */

#include "shim/proxy/proxy-session.h"

/* Runs the method of that name. args is an array (or NULL: none). 0 with the answer filled in, or
 * -errno; -ENOSYS (USAGE) where there is no such method. */
int sfd_proxy_run_method(struct sfd_proxy_session *s, const char *name, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err);

#endif
