/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_DISCOVER_H
#define SPLITFD_CONTAINERS_STORAGE_DISCOVER_H

/*
 * Which store is meant: options, environment, storage.conf with its drop-ins, defaults, by the
 * rules of container-libs (its newer library, that knows drop-ins).
 *
 * Main file, the first that exists: CONTAINERS_STORAGE_CONF (must exist; no drop-ins then), the
 * user's, /etc/containers, /usr/share/containers. Drop-ins are sorted by name over all directories;
 * of equal names the one in the higher directory counts. CONTAINERS_STORAGE_CONF_OVERRIDE comes
 * last. Driver options (the additional image and layer stores are among them) come from exactly one
 * place:
 * --storage-opt or the reference's specifier; none with --root or --storage-driver; STORAGE_OPTS;
 * storage.conf.
 */

#include "splitfdstream/base/error.h"
#include "transport/containers-storage/conf/conf-files.h"
#include "transport/containers-storage/store.h"

#include <stdbool.h>
#include <stddef.h>

struct sfd_store_config {
	char *root;	   /* graphroot, absolute */
	char *runroot;	   /* absolute */
	char *imagestore;  /* images apart from containers; NULL: not split */
	char *driver;	   /* "overlay" or "vfs"; NULL: by what is found */
	bool transient;	   /* volatile records are in runroot */
	char **additional; /* read-only stores, absolute, in the order of search */
	size_t n_additional;
	char **layer_stores; /* additional layer stores, absolute */
	size_t n_layer_stores;
};

/* Fills *config, which starts as { 0 }; sfd_store_config_done() empties it, also after an error. */
int sfd_store_discover(const struct splitfd_store_options *options,
	const struct sfd_discover_dirs *dirs, struct sfd_store_config *config,
	struct splitfd_error *err);

void sfd_store_config_done(struct sfd_store_config *config);

#endif
