/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COPY_NEEDS_H
#define SPLITFD_COPY_NEEDS_H

/*
 * What the rest of a copy needs of the process, announced once all is open and before untrusted
 * data is read: a program can drop every other privilege then.
 */

#include "transport/composefs/repository.h"
#include "transport/containers-storage/store.h"

/* All borrowed. */
struct sfd_needs {
	bool read_rules; /* files are read below what is named here only, not below others */
	const struct splitfd_store *store; /* is read; NULL: none */
	bool opens_stores;		   /* others are opened later and read */
	/* Is read, and written where it is open for that; NULL: none. */
	const struct splitfd_repository *repository;
	int objects;		 /* an objects directory that is written; negative: none */
	bool ends_processes;	 /* a program was started that may have to be killed */
	bool spool;		 /* bytes are kept aside in $TMPDIR or /var/tmp */
	const char *socket_path; /* a socket that will be removed; NULL: none */
};

/* NULL: the process keeps its privileges. */
typedef void sfd_confine_fn(const struct sfd_needs *needs);

static inline void sfd_announce_needs(sfd_confine_fn *confine, const struct sfd_needs *needs)
{
	if (confine != NULL)
		confine(needs);
}

#endif
