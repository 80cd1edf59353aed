/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_SINK_H
#define SPLITFD_TAR_SINK_H

/*
 * Chunks as the plain tar that they stand for, written to a descriptor: a pipe, a socket, a file.
 */

#include "splitfdstream/chunk.h"

struct sfd_tar_sink_options {
	/* Check every file's CRC-64 where the source knows it. */
	bool check_crc64;
	/* "sha256:HEX" that the whole must have, else finish fails; NULL: any. */
	const char *diff_id;
	/* Bytes that the whole must have, else finish fails; UINT64_MAX: any. */
	uint64_t size;
	/* The longest time that the reader may take nothing; < 0: for ever. */
	int timeout_ms;
	/* Readable as soon as waiting for the reader shall end (-ECANCELED); 0: none; borrowed. */
	int cancel_fd;
};

/* Writes to fd, which is borrowed and may be non-blocking. Small pieces are sent together. Where
 * neither CRC-64 nor sha256 is wanted, larger files go from descriptor to descriptor in the kernel;
 * where one is, each file is read once. Nothing of a file is sent before its type and size are
 * checked, but content is on its way before its checksum is known: only a finish that succeeds
 * tells the reader that the bytes are right. A reader that went away is kind PEER, EPIPE (SIGPIPE
 * is the caller's to ignore); one that stopped reading is PEER, ETIMEDOUT. *ret is the caller's. */
int sfd_tar_sink_new(int fd, const struct sfd_tar_sink_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err);

#endif
