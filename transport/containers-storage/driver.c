/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/driver.h"

#include <string.h>

const struct sfd_driver sfd_drivers[SFD_N_DRIVERS] = {
	{ "overlay", "overlay", 2, SFD_LAYER_OVERLAY },
	{ "vfs", "vfs/dir", 1, SFD_LAYER_VFS },
};

const struct sfd_driver *sfd_driver_find(const char *name)
{
	if (strcmp(name, "overlay2") == 0)
		name = "overlay";
	for (size_t i = 0; i < SFD_N_DRIVERS; i++)
		if (strcmp(name, sfd_drivers[i].name) == 0)
			return &sfd_drivers[i];
	return NULL;
}
