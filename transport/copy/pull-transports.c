/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/pull-transports.h"
#include "transport/copy/pull-proxy.h"
#include "transport/copy/reference.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"

#include <errno.h>

struct transport {
	/* Feeds all layers (begin to the last sink; not end). */
	int (*pull)(struct sfd_pull *pull, struct splitfd_error *err);
	/* Checks the words; NULL: whoever reads the image does. */
	int (*check)(const struct sfd_pull_options *o, struct splitfd_error *err);
	bool is_service; /* how many descriptors a layer comes with is its choice */
};

static int check_service(const struct sfd_pull_options *o, struct splitfd_error *err)
{
	sfd_cleanup_free char *socket = NULL;
	const char *image;

	return sfd_service_reference(o->reference, &socket, &image, err);
}

static int check_store(const struct sfd_pull_options *o, struct splitfd_error *err)
{
	struct splitfd_store_options options = o->store;
	sfd_cleanup_free char *spec = NULL;
	const char *name;

	return splitfd_store_parse_reference(o->reference, &options, &spec, &name, err);
}

static const struct transport transports[] = {
	[SFD_REFERENCE_STORE] = { sfd_pull_from_store, check_store, false },
	[SFD_REFERENCE_SKOPEO] = { sfd_pull_from_proxy, NULL, false },
	[SFD_REFERENCE_VARLINK] = { sfd_pull_from_varlink, check_service, true },
	[SFD_REFERENCE_JSONRPC] = { sfd_pull_from_jsonrpc, check_service, true },
};

static const struct transport *find_transport(const struct sfd_pull_options *o)
{
	enum sfd_reference_kind kind = sfd_reference_kind(o->reference);

	/* --skopeo takes what would be read from the store here. */
	if (kind == SFD_REFERENCE_STORE && o->skopeo != NULL)
		kind = SFD_REFERENCE_SKOPEO;
	return &transports[kind];
}

int sfd_pull_check(const struct sfd_pull_options *options, struct splitfd_error *err)
{
	const struct transport *t = find_transport(options);

	return t->check != NULL ? t->check(options, err) : 0;
}

bool sfd_pull_is_store(const struct sfd_pull_options *options)
{
	return find_transport(options)->pull == sfd_pull_from_store;
}

int sfd_pull_run(struct sfd_pull *pull, struct splitfd_error *err)
{
	const struct transport *t = find_transport(sfd_pull_get_options(pull));
	int r;

	if (t->is_service && sfd_pull_get_options(pull)->raise_fd_limit)
		sfd_raise_fd_limit();
	r = t->pull(pull, err);

	/* Whatever it waited for then. */
	if (r == -ECANCELED)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ECANCELED,
			"interrupted; nothing was made visible");
	return r < 0 ? r : sfd_pull_end(pull, err);
}
