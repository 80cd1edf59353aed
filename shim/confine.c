/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/confine.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/sandbox.h"
#include "transport/composefs/repository-private.h"
#include "transport/containers-storage/store-private.h"

#include <errno.h>
#include <fcntl.h>

struct rules {
	struct sfd_sandbox_rule rows[SFD_PLACES_MAX + 4];
	size_t n;
};

static void add(struct rules *rules, int fd, bool write)
{
	if (fd >= 0)
		rules->rows[rules->n++] = (struct sfd_sandbox_rule){ .fd = fd, .write = write };
}

void sfd_confine_to_objects(
	const struct splitfd_store *store, const struct splitfd_repository *repository, int objects)
{
	sfd_cleanup_fd int around = -EBADF;
	struct rules rules = { .n = 0 };

	if (store != NULL && store->opener != NULL)
		return;
	if (store != NULL) {
		for (size_t i = 0; i < store->n_places; i++)
			add(&rules, store->places[i].fd, false);
		add(&rules, store->volatile_fd, false);
	}
	if (repository != NULL)
		add(&rules, repository->fd, repository->write);
	add(&rules, objects, true);
	/* meta.json lies beside the objects directory and is read. */
	if (objects >= 0)
		around = openat(objects, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	add(&rules, around, false);
	sfd_sandbox_enter(
		rules.rows, rules.n, store != NULL ? SFD_SANDBOX_READ_RULES : SFD_SANDBOX_READ_ALL);
}

void sfd_confine(const struct splitfd_store *store, const struct splitfd_repository *repository)
{
	sfd_confine_to_objects(store, repository, -1);
}
