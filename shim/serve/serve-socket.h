/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SERVE_SOCKET_H
#define SPLITFD_SHIM_SERVE_SOCKET_H

/*
 * Where a service's sockets come from: a path, a descriptor that was inherited, or systemd's socket
 * activation (sd_listen_fds(3): LISTEN_PID and LISTEN_FDS, descriptors from 3 on). All are Unix
 * stream sockets, listening or connected.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SFD_SERVE_SOCKETS_MAX 16

struct sfd_serve_sockets {
	struct {
		int fd; /* CLOEXEC, above 2 */
		bool listening;
	} items[SFD_SERVE_SOCKETS_MAX];
	size_t n;
	char *path; /* the file that was made; NULL: none */
	dev_t dev;
	ino_t ino;
};

/* Starts as { 0 }; _done closes the sockets and removes the file, where it is still ours. */
void sfd_serve_sockets_done(struct sfd_serve_sockets *sockets);

/* Listens at `path`, with these permission bits. A file there that no service listens at any more
 * is replaced; -EADDRINUSE where one does, or where it is no socket. */
int sfd_serve_listen(struct sfd_serve_sockets *sockets, const char *path, mode_t mode,
	struct splitfd_error *err);

/* An inherited socket; fd is moved. */
int sfd_serve_inherit(struct sfd_serve_sockets *sockets, int fd, struct splitfd_error *err);

/* The sockets of socket activation. Returns their count; 0 where there was none for this process.
 * The variables are removed. */
int sfd_serve_activation(struct sfd_serve_sockets *sockets, struct splitfd_error *err);

#endif
