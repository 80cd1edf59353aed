/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_POLICY_OLD_SKOPEO_H
#define SPLITFD_SKOPEO_POLICY_OLD_SKOPEO_H

/*
 * policy.json for images of a skopeo whose proxy evaluates none: what needs no signatures is
 * decided here, and all else is refused.
 */

#include "transport/skopeo/proxy-client.h"

/* True where the proxy applies the policy itself when it opens an image. */
bool sfd_proxy_applies_policy(const struct sfd_proxy *proxy);

/* `arguments`: those that the proxy was started with, for --policy and --insecure-policy. 0 where
 * the image may be used: by the policy, or because the proxy applies it; else REFUSED. */
int sfd_policy_check_reference(const struct sfd_proxy *proxy, const char *const *arguments,
	const char *reference, struct splitfd_error *err);

#endif
