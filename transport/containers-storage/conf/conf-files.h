/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_CONF_FILES_H
#define SPLITFD_CONTAINERS_STORAGE_CONF_FILES_H

/*
 * The files that make up the storage configuration, loaded in their order (see discover.h).
 */

#include "transport/containers-storage/conf/storage-conf.h"

/* The system's configuration directories; NULL means "/etc/containers", "/usr/share/containers". */
struct sfd_discover_dirs {
	const char *etc;
	const char *usr;
};

/* Adds all of them to `conf`. No file at all is no error. */
int sfd_conf_files_load(
	struct sfd_conf *conf, const struct sfd_discover_dirs *dirs, struct splitfd_error *err);

#endif
