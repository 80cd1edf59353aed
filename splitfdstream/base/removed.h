/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_REMOVED_H
#define SPLITFD_BASE_REMOVED_H

/*
 * What was removed while it was read, told apart from what was changed.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <sys/stat.h>

#define SFD_LAYER_REMOVED "the layer was removed while it was read"

/* NOT_FOUND with ESTALE, and this text. */
int sfd_layer_removed(struct splitfd_error *err);

/* The error for a file that is not what it was when `before` was taken: sfd_layer_removed where it
 * has lost its last name since, else REFUSED with ESTALE and "the file WHAT". */
int sfd_file_changed(
	int fd, const struct stat *before, const char *what, struct splitfd_error *err);

/* True for a directory without a name. A removal that is under way takes the files first: it gets
 * up to wait_ms to come to the directory. */
bool sfd_dir_removed(int dir, int wait_ms);

#endif
