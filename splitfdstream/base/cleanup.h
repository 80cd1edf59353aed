/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_CLEANUP_H
#define SPLITFD_BASE_CLEANUP_H

/*
 * Ownership on one line: a resource is declared with the attribute that releases it, and is taken
 * on the line that gives it away.
 *
 *	sfd_cleanup_fd int fd = -EBADF;
 *	sfd_cleanup_free char *name = NULL;
 *	…
 *	return sfd_take_fd(&fd);
 */

#include "splitfdstream/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define sfd_cleanup(f)	 __attribute__((cleanup(f)))
#define sfd_cleanup_fd	 sfd_cleanup(sfd_cleanup_fd_)
#define sfd_cleanup_free sfd_cleanup(sfd_cleanup_free_)
#define sfd_cleanup_dir	 sfd_cleanup(sfd_cleanup_dir_)

/* Gives the pointer away: evaluates to its value and leaves NULL behind. */
#define sfd_take_ptr(pp)                                                                           \
	({                                                                                         \
		__typeof__(pp) pp_ = (pp);                                                         \
		__typeof__(*pp_) taken_ = *pp_;                                                    \
		*pp_ = NULL;                                                                       \
		taken_;                                                                            \
	})

/* Defines a cleanup function NAME_ for a destructor that takes the pointer (NULL allowed). */
#define SFD_DEFINE_CLEANUP(name, type, destroy)                                                    \
	static inline void name(type **pp)                                                         \
	{                                                                                          \
		int saved_errno_ = errno;                                                          \
		if (*pp != NULL)                                                                   \
			destroy(*pp);                                                              \
		*pp = NULL;                                                                        \
		errno = saved_errno_;                                                              \
	}                                                                                          \
	struct sfd_swallow_semicolon_

static inline void sfd_cleanup_fd_(int *fd)
{
	*fd = sfd_close(*fd);
}

static inline void sfd_cleanup_free_(void *pp)
{
	free(*(void **)pp);
	*(void **)pp = NULL;
}

static inline void sfd_cleanup_dir_(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
	*dir = NULL;
}

#endif
