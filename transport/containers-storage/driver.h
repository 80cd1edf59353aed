/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_DRIVER_H
#define SPLITFD_CONTAINERS_STORAGE_DRIVER_H

/*
 * The storage drivers that are read: how each lays out a store.
 */

#include "transport/containers-storage/layer.h"

#include <stddef.h>

struct sfd_driver {
	const char *name;	      /* in options, and in front of "-images" and "-layers" */
	const char *directory;	      /* of its layers, beneath a place */
	unsigned int levels;	      /* of directories from there to a layer's files */
	enum sfd_layer_layout layout; /* of a layer's directory */
};

/* In the order in which a store is looked for. */
#define SFD_N_DRIVERS 2
extern const struct sfd_driver sfd_drivers[SFD_N_DRIVERS];

/* The driver of that name ("overlay2" is overlay); NULL where it is not read. */
const struct sfd_driver *sfd_driver_find(const char *name);

#endif
