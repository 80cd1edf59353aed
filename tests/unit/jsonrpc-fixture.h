/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_JSONRPC_FIXTURE_H
#define SPLITFD_TESTS_JSONRPC_FIXTURE_H

/* A connection over a socket pair, and the bare socket at its other end. */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/jsonrpc.h"
#include "tests/unit/check.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct ends {
	struct sfd_jsonrpc *c;
	int peer;
};

static inline struct ends connect_ends(const struct sfd_jsonrpc_options *options)
{
	struct ends e = { 0 };
	int pair[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_INT(sfd_jsonrpc_new(pair[0], options, &e.c, NULL), 0);
	e.peer = pair[1];
	return e;
}

static inline void close_ends(struct ends *e)
{
	e->c = sfd_jsonrpc_free(e->c);
	e->peer = sfd_close(e->peer);
}

/* A file with a number in it. */
static inline int numbered_fd(uint32_t number)
{
	int fd = memfd_create("numbered", MFD_CLOEXEC);

	if (fd >= 0 && sfd_pwrite_all(fd, &number, sizeof(number), 0) < 0)
		fd = sfd_close(fd);
	return fd;
}

/* Sends bytes with n descriptors, numbered from `first` on. */
static inline int send_numbered(
	int socket, const void *data, size_t len, uint32_t first, size_t n, int timeout_ms)
{
	int fds[SPLITFD_FDS_MAX] = { 0 }, r;

	for (size_t i = 0; i < n; i++)
		fds[i] = numbered_fd(first + (uint32_t)i);
	r = splitfd_fds_send(socket, data, len, fds, n, timeout_ms, NULL);
	for (size_t i = 0; i < n; i++)
		sfd_close(fds[i]);
	return r;
}

static inline void say(const struct ends *e, const char *text)
{
	CHECK_INT(splitfd_fds_send(e->peer, text, strlen(text), NULL, 0, 5000, NULL), 0);
}

/* The number of the next descriptor. */
static inline int64_t take_number(struct sfd_jsonrpc *c)
{
	struct splitfd_error err = { 0 };
	uint32_t number = 0;
	int fd = -EBADF, r = sfd_jsonrpc_take_fd(c, &fd, &err);

	if (r < 0)
		return r;
	r = sfd_pread_full(fd, &number, sizeof(number), 0);
	sfd_close(fd);
	return r < 0 ? r : (int64_t)number;
}

#endif
