/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_DIR_FILES_H
#define SPLITFD_DIR_FILES_H

/*
 * The files below one directory descriptor, by relative name: what a splitdirfdstream refers to.
 */

#include "splitfdstream/chunk.h"

/* Takes dir (always); it must be a directory. *ret has one reference, the caller's. ret_dir of its
 * open() is 0, or -1 where the name led over a symlink. */
int sfd_dir_files_new(int dir, struct splitfd_files **ret, struct splitfd_error *err);

/* The reason why a name of n bytes cannot be looked up, or NULL where it can: relative, 1 to 4096
 * bytes, no NUL, no component "..". */
const char *sfd_dir_name_fault(const char *name, size_t n);

#endif
