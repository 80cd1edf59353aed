/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_SHORT_NAMES_H
#define SPLITFD_CONTAINERS_STORAGE_SHORT_NAMES_H

/*
 * What a name without a registry may stand for, by registries.conf, of which [aliases] and
 * unqualified-search-registries count here. The files, a later value replacing an earlier one: the
 * first of CONTAINERS_REGISTRIES_CONF, ~/.config/containers/registries.conf (then nothing of /etc
 * is read) and /etc/containers/registries.conf; registries.conf.d of /etc/containers; that of the
 * user; podman's own short-name-aliases.conf. As podman 4 and 5 have it.
 */

#include "splitfdstream/base/error.h"
#include "transport/containers-storage/conf/docker-ref.h"

struct sfd_conf;

struct sfd_short_names {
	struct sfd_conf *conf;
	struct splitfd_error wrong; /* why it cannot be read; found where a short name is used */
};

/* Only short memory is an error. *names starts as { 0 }; _done empties it, also after an error. */
int sfd_short_names_load(struct sfd_short_names *names, struct splitfd_error *err);
void sfd_short_names_done(struct sfd_short_names *names);

/* What the unqualified `ref` stands for, its tag and digest kept: step 0 is its alias, 1 is
 * localhost's, the following are those of the search registries in their order, the last one is
 * docker.io's. 1, and 0 where the step gives no name; -ENOENT behind the last one. `names` may be
 * NULL: there is no configuration. */
int sfd_short_names_step(const struct sfd_short_names *names, const struct sfd_docker_ref *ref,
	size_t step, struct sfd_docker_ref *ret);

#endif
