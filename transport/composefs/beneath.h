/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_BENEATH_H
#define SPLITFD_COMPOSEFS_BENEATH_H

/*
 * Names below a repository. Its owner may be another user than this process, and may change it at
 * any time: no name is looked up through a symbolic link, and none leads out of the repository. A
 * path may have several components; where a symbolic link is one of its directories, -ELOOP is
 * returned, or -EXDEV where ".." leads out. Calls that take one component only (renameat of a name
 * in an open directory, for example) need none of this.
 */

#include "splitfdstream/base/error.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* openat2(2) of `path` below `root`. The descriptor or -errno. */
int sfd_beneath_open(int root, const char *path, uint64_t flags, uint64_t mode);
/* Opens a regular file for reading; -EINVAL for any other type. */
int sfd_beneath_open_regular(int root, const char *path);
/* Opens the directory of the last component of `path`, O_PATH; *ret_base points at that component.
 */
int sfd_beneath_parent(int root, const char *path, const char **ret_base);
/* As lstat(2): the last component may be a symbolic link. 0 or -errno. */
int sfd_beneath_stat(int root, const char *path, struct stat *ret);
/* The target of the symbolic link `path`, NUL-terminated; its length or -errno: -EINVAL where it is
 * not one, -ENAMETOOLONG where it does not fit. */
ssize_t sfd_beneath_readlink(int root, const char *path, char *target, size_t size);
/* mkdir(2), mode 0755, of each directory of `path` up to its last slash that is missing. */
int sfd_beneath_make_parents(int root, const char *path);
/* unlink(2) of what is not a directory. */
int sfd_beneath_unlink(int root, const char *path);
/* Opens, O_PATH, what the names of `path` lead to: where the last component is a symbolic link, its
 * target is looked up by the same rules, and so on, a few times. */
int sfd_beneath_follow(int root, const char *path);

/* Sets the error for `r`, the -errno of a call above: "cannot WHAT NAME/path: …". Where a symbolic
 * link is among the directories of `path`, the error names it, and its kind is REFUSED. `name` is
 * the path of `root`. Returns `r`. */
int sfd_beneath_failed(int root, const char *name, const char *what, const char *path, int r,
	struct splitfd_error *err);

#endif
