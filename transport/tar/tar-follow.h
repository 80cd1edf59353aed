/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_FOLLOW_H
#define SPLITFD_TAR_FOLLOW_H

/*
 * Checks a layer that is being sent, beside the sending: a thread of its own reads the layer a
 * second time, with every file's CRC-64 and the sha256 of the whole. So the sender can leave the
 * contents to the kernel, and needs not wait for the slower digest.
 *
 * That both have read the same is known from the files: the sender notes each (inode, size, change
 * time) before it reads it, the follower after it has read it and after the client has, because it
 * stays behind by the room of a pipe. A file that changed anywhere in between differs.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/chunk.h"

/* The most that may be under way between sender and client. */
#define SFD_PIPE_SIZE ((size_t)1024 * 1024)

/* Files of fewer bytes are copied by the sender: where no digest is wanted, it checks their CRC-64
 * as it goes, and the follower leaves them out. */
#define SFD_SPLICE_MIN ((size_t)32 * 1024)

/* What one of the two has seen. */
struct sfd_trace {
	uint64_t bytes; /* of the tar, by CRC-64 */
	uint64_t files; /* inodes, sizes and change times, by CRC-64 */
};

void sfd_trace_bytes(struct sfd_trace *trace, const void *data, size_t n);
int sfd_trace_file(struct sfd_trace *trace, int fd, struct splitfd_error *err);

/* The error of a file that is not what the layer's record says. */
int sfd_bad_crc64(const char *name, struct splitfd_error *err);

struct sfd_follow;

/* `source` (borrowed) is the layer opened once more. `digest`: the sha256 is wanted. `thread`: else
 * all is done by sfd_follow_end, which is as fast for a layer of a few pages. */
int sfd_follow_new(struct splitfd_source *source, bool digest, bool thread, struct sfd_follow **ret,
	struct splitfd_error *err);

/* So many bytes have been given to the client. False where the follower has found a fault: there is
 * no use in sending more; sfd_follow_end tells it. */
bool sfd_follow_sent(struct sfd_follow *follow, uint64_t bytes);

/* All has been sent, and the last SFD_PIPE_SIZE bytes of it were copied. Waits for the follower, or
 * until cancel_fd (-1: none) is readable. Returns 0 with the digest, where one was wanted, or what
 * is wrong with the layer. */
int sfd_follow_end(struct sfd_follow *follow, const struct sfd_trace *sent, int cancel_fd,
	uint8_t digest[32], struct splitfd_error *err);

/* Stops the follower, if it still runs. NULL is allowed. Returns NULL. */
struct sfd_follow *sfd_follow_free(struct sfd_follow *follow);

SFD_DEFINE_CLEANUP(sfd_cleanup_follow_, struct sfd_follow, sfd_follow_free);
#define sfd_cleanup_follow sfd_cleanup(sfd_cleanup_follow_)

#endif
