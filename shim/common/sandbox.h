/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SANDBOX_H
#define SPLITFD_SHIM_SANDBOX_H

/*
 * What a process that reads hostile input gives up beforehand: files and the network by Landlock
 * (landlock(7)), system calls by seccomp. A second line: the first is that names are resolved by
 * openat2 and that types are checked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stays allowed below a directory, or for a file. */
enum sfd_sandbox_access {
	SFD_SANDBOX_READ = 1,
	SFD_SANDBOX_WRITE = 2, /* also make, link, rename and remove */
	SFD_SANDBOX_SPOOL = 4, /* read and write, but make nothing that has a name */
	SFD_SANDBOX_REMOVE = 8 /* remove what is not a directory */
};

struct sfd_sandbox_rule {
	int fd; /* borrowed, may be O_PATH; negative: no rule */
	unsigned int access;
};

struct sfd_sandbox {
	const struct sfd_sandbox_rule *rules; /* borrowed */
	size_t n;
	/* Read only what the rules say, and the system's libraries. Else reading is not restricted,
	 * for names below directories that are passed later. */
	bool read_rules;
	bool signals;	       /* processes that were started before may have to be ended */
	uint64_t capabilities; /* of those that the process has, these are kept */
};

/* From here on the calling thread, and every thread and child that it starts, can write, make and
 * remove files only as the rules say, and read them likewise, make no device, FIFO or socket, set
 * no set-user-ID bit, owner or extended attribute, have no memory that is executable and was
 * writable, run no program, bind or connect no TCP port, signal and connect to nobody outside
 * (processes; abstract sockets), use no capability that is not named, and do nothing that a reader
 * of streams has no use for: trace, mount, change identity, load modules, and the like (EPERM;
 * files: EACCES). Descriptors that are open keep working. To be called before any other thread is
 * started. There is no way back.
 *
 * Not an error where the kernel (or for system calls the build) has none of it; a build with a
 * sanitizer goes without. A rule that the kernel does not take leaves Landlock out, never the rule.
 * True where anything was given up. */
bool sfd_sandbox_enter(const struct sfd_sandbox *sandbox);

#endif
