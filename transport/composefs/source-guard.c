/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/source-guard.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef BCACHEFS_SUPER_MAGIC
#define BCACHEFS_SUPER_MAGIC 0xca451a4e
#endif

enum sfd_guardable sfd_guardable(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return SFD_GUARDABLE_NOT;
	switch ((unsigned long)fs.f_type) {
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case BCACHEFS_SUPER_MAGIC:
		return SFD_GUARDABLE_FULLY;
	case TMPFS_MAGIC:
		return SFD_GUARDABLE_SEALS;
	default:
		return SFD_GUARDABLE_NOT;
	}
}

/* Without SHRINK, a memfd could be cut off and grow again, with zeros. */
static bool has_seals(int fd)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

static bool has_verity(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_VERITY) != 0;
}

/* The notice that somebody wants to write is SIGIO, which kills by default and could come before
 * anything that follows F_SETLEASE. SIGURG is ignored by default. */
static bool take_lease(int fd)
{
	return fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
}

enum sfd_guard sfd_guard_take(int fd, enum sfd_guardable how, bool lease)
{
	if (how == SFD_GUARDABLE_SEALS && has_seals(fd))
		return SFD_GUARD_SEALED;
	if (how != SFD_GUARDABLE_FULLY)
		return SFD_GUARD_NONE;
	if (lease && take_lease(fd))
		return SFD_GUARD_LEASE;
	return has_verity(fd) ? SFD_GUARD_SEALED : SFD_GUARD_NONE;
}

bool sfd_guard_holds(int fd, enum sfd_guard guard)
{
	if (guard != SFD_GUARD_LEASE)
		return guard == SFD_GUARD_SEALED;
	if (fcntl(fd, F_GETLEASE) == F_RDLCK)
		return true;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}
