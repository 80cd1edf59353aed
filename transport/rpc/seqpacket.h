/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_RPC_SEQPACKET_H
#define SPLITFD_RPC_SEQPACKET_H

/*
 * One message is one packet: the framing of skopeo's experimental-image-proxy. A packet that does
 * not fit is told, not an error, because the server answers it and goes on. See unix(7).
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Most descriptors of a packet that are looked at; more are closed and told as `cut`. */
#define SFD_PACKET_FDS 4

struct sfd_packet {
	char *data;  /* the caller's buffer of `size` bytes */
	size_t size; /* at least 2; one byte is kept for a NUL */
	size_t len;  /* bytes received; data[len] is NUL */
	bool cut;    /* bytes or descriptors were lost */
	int fds[SFD_PACKET_FDS];
	size_t n_fds;
};

/* A connected SOCK_SEQPACKET pair, CLOEXEC. */
int sfd_seqpacket_pair(int fds[2], struct splitfd_error *err);

/* Waits for one packet, at most timeout_ms (< 0: for ever; -ETIMEDOUT). Returns 1, or 0 where the
 * peer has closed. Descriptors are CLOEXEC and the caller's (sfd_packet_close_fds). */
int sfd_seqpacket_receive(
	int socket, struct sfd_packet *packet, int timeout_ms, struct splitfd_error *err);

/* Closes what was received and not taken; an entry that was taken is -EBADF. */
void sfd_packet_close_fds(struct sfd_packet *packet);

/* One packet with descriptors (borrowed, at most SFD_PACKET_FDS). A closed peer is -EPIPE, a peer
 * that takes nothing for timeout_ms is -ETIMEDOUT; kind PEER both. */
int sfd_seqpacket_send(int socket, const void *data, size_t n, const int *fds, size_t n_fds,
	int timeout_ms, struct splitfd_error *err);

#endif
