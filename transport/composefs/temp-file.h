/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TEMP_FILE_H
#define SPLITFD_COMPOSEFS_TEMP_FILE_H

/*
 * A file that has no name until it is whole: O_TMPFILE and linkat(2). Where the file system has no
 * O_TMPFILE, `.tmp-object-` and 12 letters in `dirfd` itself, as cfsctl does it; its gc ignores
 * such names in objects/.
 */

#include "splitfdstream/base/cleanup.h"

#include <stdbool.h>
#include <sys/types.h>

#define SFD_TEMP_NAME_SIZE 32

struct sfd_temp {
	int fd;			       /* O_WRONLY; O_RDONLY after sfd_temp_seal */
	int dirfd;		       /* borrowed */
	char name[SFD_TEMP_NAME_SIZE]; /* "" where it has none */
};

#define SFD_TEMP_INIT ((struct sfd_temp){ .fd = -EBADF, .dirfd = -EBADF })

/* `near`, below dirfd, is the directory in which the file will be linked. 0 or -errno. */
int sfd_temp_open(int dirfd, const char *near, mode_t mode, struct sfd_temp *ret);

/* Reopens the file read-only, so that nobody can write it any more. 0 or -errno. */
int sfd_temp_seal(struct sfd_temp *temp);

/* Gives the file its name, "near/…" below the dirfd of sfd_temp_open. 0; -EEXIST where the name is
 * there; -errno. */
int sfd_temp_link(struct sfd_temp *temp, const char *name);

/* Closes it; removes the temporary name, if it has one. */
void sfd_temp_done(struct sfd_temp *temp);

#define sfd_cleanup_temp sfd_cleanup(sfd_temp_done)

#endif
