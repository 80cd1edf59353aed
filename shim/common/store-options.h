/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_STORE_OPTIONS_H
#define SPLITFD_SHIM_STORE_OPTIONS_H

/*
 * Which containers-storage store: --root, --runroot, --storage-driver and --storage-opt, as podman
 * has them.
 */

#include "shim/common/options.h"
#include "transport/containers-storage/store.h"

/* What the rows fill. */
struct sfd_store_arguments {
	struct splitfd_store_options store;
	struct sfd_strings storage_options;
};

/* The rows of a command's option table, for a struct with the members `store` (struct
 * splitfd_store_options) and `storage_options` (struct sfd_strings), whose items are for
 * store.options. */
#define SFD_STORE_OPTIONS(o)                                                                       \
	{ "root", 0, SFD_OPTION_STRING, &(o)->store.root, 0, 0, "DIR", "The store, as podman's" }, \
		{ "runroot", 0, SFD_OPTION_STRING, &(o)->store.runroot, 0, 0, "DIR",               \
			"The store's state, as podman's" },                                        \
		{ "storage-driver", 0, SFD_OPTION_STRING, &(o)->store.driver, 0, 0, "NAME",        \
			"overlay or vfs" },                                                        \
	{                                                                                          \
		"storage-opt", 0, SFD_OPTION_STRINGS, &(o)->storage_options, 0, 0, "KEY=VALUE",    \
			"An option of the store; may be given again"                               \
	}

#endif
