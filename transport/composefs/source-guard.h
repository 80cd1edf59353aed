/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SOURCE_GUARD_H
#define SPLITFD_COMPOSEFS_SOURCE_GUARD_H

/*
 * What keeps a source file as it is from the first byte read to the last extent cloned. Time stamps
 * do not: a store to a shared mapping whose page is dirty already changes none.
 *
 * A read lease is refused while anybody has the file open for writing or mapped for that, and who
 * wants to open it for writing later has to wait until it is released: the lease is still held at
 * the end, so nobody wrote in between. Root and the file's owner may take one. A memfd with seals
 * and a file with fs-verity cannot be written at all.
 */

#include <stdbool.h>

enum sfd_guard {
	SFD_GUARD_NONE = 0, /* the file may change at any time */
	SFD_GUARD_LEASE,
	SFD_GUARD_SEALED,
};

/* What the file's file system can do. */
enum sfd_guardable {
	/* Its content does not come from this machine's kernel alone (FUSE, network, overlay): it
	 * can change without a writer that the kernel knows. */
	SFD_GUARDABLE_NOT = 0,
	/* tmpfs: who has made a memfd does not count as a writer, so a lease is granted all the
	 * same. */
	SFD_GUARDABLE_SEALS,
	SFD_GUARDABLE_FULLY,
};
enum sfd_guardable sfd_guardable(int fd);

/* Before the first byte is read. A lease is only tried where `lease` is true: the open file
 * description is this process's own, and who can write the file is trusted to have no writes under
 * way that belong to no open file (direct I/O into pages that were mapped). */
enum sfd_guard sfd_guard_take(int fd, enum sfd_guardable how, bool lease);

/* True where nobody can have written since sfd_guard_take(). False for good, once it is: a writer
 * waits, so the lease is released by this call then. */
bool sfd_guard_holds(int fd, enum sfd_guard guard);

#endif
