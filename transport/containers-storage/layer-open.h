/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_LAYER_OPEN_H
#define SPLITFD_CONTAINERS_STORAGE_LAYER_OPEN_H

/*
 * One file of a layer, opened by name in one of the layer's directories without leaving it. The
 * reader does this itself; where it has not the right to, the rootless opener does the same, by the
 * same code, in the user's namespace.
 *
 * Each name is opened O_PATH first, examined, and only then for reading. An image can make a device
 * node appear under the name of a file (by a symlinked parent, or in a lower layer), and opening
 * some devices acts at once: a watchdog starts to run. O_NONBLOCK would not help there, and stat by
 * path is not confined. The price is two cheap calls for each file.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum sfd_layer_found {
	SFD_LAYER_ABSENT = 0,
	SFD_LAYER_FOUND = 1,
	SFD_LAYER_STUB = 2, /* overlay's metacopy: the right size, but no data */
};

/* Opens the regular file `name`, cleaned by sfd_layer_clean_name(), which must have exactly `size`
 * bytes, below dir (O_PATH, borrowed). FOUND: *ret_fd is the caller's, O_RDONLY; *ret_plain, where
 * ret_plain is not NULL, tells that no symlink was followed. -EACCES where this process may not
 * search a directory or read the file. REFUSED where it is no regular file or has another size. The
 * texts begin with the name. */
int sfd_layer_open(int dir, const char *name, uint64_t size, int *ret_fd, bool *ret_plain,
	struct splitfd_error *err);

#endif
