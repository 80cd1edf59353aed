/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_CONF_FILES_H
#define SPLITFD_CONTAINERS_STORAGE_CONF_FILES_H

/*
 * The files that make up a configuration of container tools, NAME.conf, in their order:
 *
 *	CONTAINERS_NAME_CONF, and then no other but the last; else the first of
 *	    the user's directory, /etc/containers, /usr/share/containers,
 *	    then the drop-ins of all levels by their names, where a name of a higher level hides
 *	    those of the lower: the user's NAME.conf.d; in /etc/containers, then in
 *	    /usr/share/containers: NAME.rootful.conf.d or NAME.rootless.conf.d/UID and
 *	    NAME.rootless.conf.d, then NAME.conf.d
 *	CONTAINERS_NAME_CONF_OVERRIDE
 */

#include "splitfdstream/base/error.h"

/* The system's configuration directories; NULL means "/etc/containers", "/usr/share/containers". */
struct sfd_discover_dirs {
	const char *etc;
	const char *usr;
};

struct sfd_conf_files {
	const char *name;     /* "storage" */
	const char *variable; /* "CONTAINERS_STORAGE_CONF" */
	const char *override; /* "CONTAINERS_STORAGE_CONF_OVERRIDE" */
	/* Adds one file; -ENOENT where there is none, which only a variable's must not be. */
	int (*load)(void *ctx, const char *path, struct splitfd_error *err);
	void *ctx;
};

/* Loads all of them. No file at all is no error. */
int sfd_conf_files_load(const struct sfd_conf_files *files, const struct sfd_discover_dirs *dirs,
	struct splitfd_error *err);

#endif
