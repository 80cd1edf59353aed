/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads the image: by the reference's prefix. */
#include "shim/copy/pull-jsonrpc.h"
#include "shim/copy/pull-proxy.h"
#include "shim/copy/pull-varlink.h"
#include "shim/copy/pull.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>

/* Every transport but containers-storage is named by its prefix; a bare reference has none of
 * these in front of its first colon. */
static int pull_layers(struct sfd_pull *pull, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = sfd_pull_get_options(pull);

	/* How many descriptors a layer of a service comes with is the service's choice. */
	if (sfd_pull_is_varlink(o) || sfd_pull_is_jsonrpc(o))
		sfd_raise_fd_limit();
	if (sfd_pull_is_varlink(o))
		return sfd_pull_from_varlink(pull, err);
	if (sfd_pull_is_jsonrpc(o))
		return sfd_pull_from_jsonrpc(pull, err);
	if (sfd_pull_is_proxied(o))
		return sfd_pull_from_proxy(pull, err);
	return sfd_pull_from_store(pull, err);
}

int sfd_pull_run(struct sfd_pull *pull, struct splitfd_error *err)
{
	int r = pull_layers(pull, err);

	/* Whatever it waited for then. */
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED,
			"interrupted; nothing was made visible");
	return r < 0 ? r : sfd_pull_end(pull, err);
}

bool sfd_pull_is_store(const struct sfd_pull_options *options)
{
	return !sfd_pull_is_varlink(options) && !sfd_pull_is_jsonrpc(options) &&
	       !sfd_pull_is_proxied(options);
}
