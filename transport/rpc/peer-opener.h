/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_PEER_OPENER_H
#define SPLITFD_RPC_PEER_OPENER_H

/*
 * Files that a peer of another user names, opened with that user's rights.
 *
 * A peer may pass an O_PATH descriptor of any directory that it can reach, and name any file below
 * it. What this process can read, the peer may not be able to: so a process that has become the
 * peer's user (its uid, gid and groups as the kernel recorded them for the socket, and no
 * capability) opens the files and passes the descriptors.
 */

#include "splitfdstream/chunk.h"

struct sfd_peer_opener;

/* *ret is an opener for the other end of `socket`, or NULL where that is this process's own user or
 * root, who need none. Starts the process; where it cannot become that user, every file that is
 * named later gives the error. cancel_fd: readable when waiting must end; 0: none. Called before
 * the process is confined. */
int sfd_peer_opener_new(int socket, int timeout_ms, int cancel_fd, struct sfd_peer_opener **ret,
	struct splitfd_error *err);

/* The caller's reference; files keep theirs. NULL is allowed. Returns NULL. */
struct sfd_peer_opener *sfd_peer_opener_unref(struct sfd_peer_opener *opener);

/* The files below `dir`, which is always taken. `opener` is a struct sfd_peer_opener; the form is
 * that of splitfd_splitdirfdstream_reader_options.files_new. */
int sfd_peer_opener_files(
	void *opener, int dir, struct splitfd_files **ret, struct splitfd_error *err);

#endif
