/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_SANDBOX_H
#define SPLITFD_BASE_SANDBOX_H

/*
 * What a process that reads hostile input gives up beforehand: files by Landlock, system calls by
 * seccomp. A second line: the first is that names are resolved by openat2 and types are checked.
 */

#include <stdbool.h>
#include <stddef.h>

/* A directory of which everything below stays usable. */
struct sfd_sandbox_rule {
	int fd;	    /* borrowed, may be O_PATH */
	bool write; /* else read-only */
};

enum sfd_sandbox_reading {
	SFD_SANDBOX_READ_ALL,	/* reading is not restricted: names come with passed directories */
	SFD_SANDBOX_READ_RULES, /* only what the rules say, and the system's libraries */
};

/* From here on the calling thread, and every thread and child that it starts, can write, make and
 * remove files only below the rules with `write`, read as `reading` says, run no program, and do
 * nothing that a reader of streams has no use for: trace, mount, change identity, load modules,
 * and the like (EPERM; files: EACCES). Descriptors that are open keep working. To be called before
 * any other thread is started. There is no way back.
 *
 * Not an error where the kernel has none of it; a build with a sanitizer goes without. A rule that
 * the kernel does not take leaves Landlock out, never the rule. */
void sfd_sandbox_enter(
	const struct sfd_sandbox_rule *rules, size_t n, enum sfd_sandbox_reading reading);

#endif
