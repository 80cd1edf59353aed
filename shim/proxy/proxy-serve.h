/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_SERVE_H
#define SPLITFD_SHIM_PROXY_SERVE_H

/*
 * Skopeo's image proxy for one client.
 */

#include "shim/proxy/proxy-session.h"

/* Serves until the client closes or says Shutdown; 0 then. */
int sfd_proxy_serve(const struct sfd_proxy_settings *settings, struct splitfd_error *err);

#endif
