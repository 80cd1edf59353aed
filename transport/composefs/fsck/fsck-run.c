/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/fsck/fsck-private.h"

#include <string.h>

static int run_all(struct sfd_fsck *f, struct splitfd_error *err)
{
	int r = f->options->metadata_only ? 0 : sfd_fsck_objects(f, err);

	if (r == 0)
		r = sfd_fsck_names(f, "streams", err);
	if (r == 0)
		r = sfd_fsck_names(f, "images", err);
	if (r == 0 && !f->options->metadata_only)
		r = sfd_fsck_layers(f, err);
	if (r == 0)
		r = sfd_fsck_oci(f, err);
	return r;
}

int sfd_fsck_run(struct splitfd_repository *repository, const struct sfd_fsck_options *options,
	struct sfd_fsck_report *ret, struct splitfd_error *err)
{
	struct sfd_fsck f = { .repository = repository, .options = options, .report = ret };
	struct splitfd_error local = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = pthread_mutex_init(&f.lock, NULL);
	if (r != 0)
		return splitfd_error_sys(err, r, "cannot make a lock");
	r = run_all(&f, &local);
	pthread_mutex_destroy(&f.lock);
	if (r < 0 && local.errnum == 0)
		return splitfd_error_sys(err, -r, "fsck");
	return r < 0 ? splitfd_error_copy(err, r, &local) : r;
}
