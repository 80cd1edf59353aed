/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_BASE_UNNAMED_FILE_H
#define SPLITFD_BASE_UNNAMED_FILE_H

/*
 * Files for bytes that are only kept aside. Nobody else can open them, and nothing of them is left
 * behind, whatever ends the process.
 */

/* An empty file, open for reading and writing, in the file system of the directory `dirfd` (which
 * may be O_PATH): O_TMPFILE, or where the file system has none, a name `.tmp-object-…` that is
 * removed at once (in a repository cfsctl's gc ignores such names). With a negative `dirfd`: in
 * memory. The descriptor is the caller's; or -errno. */
int sfd_unnamed_file(int dirfd);

/* $TMPDIR, or /var/tmp, for sfd_unnamed_file(): O_PATH, the caller's; or -errno. */
int sfd_unnamed_dir(void);

#endif
