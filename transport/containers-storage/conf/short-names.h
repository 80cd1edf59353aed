/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_SHORT_NAMES_H
#define SPLITFD_CONTAINERS_STORAGE_SHORT_NAMES_H

/*
 * What a name without a registry may stand for, by registries.conf, of which [aliases] and
 * unqualified-search-registries count here. The files (conf-files.h), a later value replacing an
 * earlier one, then podman's own short-name-aliases.conf. As container-libs of 2026 has it.
 */

#include "splitfdstream/base/error.h"
#include "transport/containers-storage/conf/conf-files.h"
#include "transport/containers-storage/conf/docker-ref.h"

struct sfd_conf;

struct sfd_short_names {
	struct sfd_conf *conf;
	struct splitfd_error wrong; /* why it cannot be read; found where a short name is used */
};

/* Only short memory is an error. `dirs` may be NULL. *names starts as { 0 }; _done empties it, also
 * after an error. */
int sfd_short_names_load(struct sfd_short_names *names, const struct sfd_discover_dirs *dirs,
	struct splitfd_error *err);
void sfd_short_names_done(struct sfd_short_names *names);

/* What the unqualified `ref` stands for, its tag and digest kept: step 0 is its alias, 1 is
 * localhost's, the following are those of the search registries in their order, the last one is
 * docker.io's. 1, and 0 where the step gives no name; -ENOENT behind the last one. `names` may be
 * NULL: there is no configuration. */
int sfd_short_names_step(const struct sfd_short_names *names, const struct sfd_docker_ref *ref,
	size_t step, struct sfd_docker_ref *ret);

#endif
