/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "shim/common/command.h"
#include "shim/common/options.h"
#include "shim/common/repo-options.h"
#include "shim/proxy/proxy-arguments.h"
#include "shim/proxy/proxy-serve.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "transport/rpc/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int run(int argc, char **argv, struct splitfd_error *err);

const struct sfd_command sfd_cmd_proxy = {
	.name = "experimental-image-proxy",
	.class = SFD_SERVER,
	.operands = NULL, /* counted by its own words, skopeo's */
	.summary = "Serve skopeo's image proxy protocol, with containers-storage read natively",
	.run = run,
};

static int serve(struct sfd_proxy_arguments *a, struct splitfd_error *err)
{
	struct sfd_proxy_settings settings = { .announce = a->announce,
		.skopeo = a->skopeo,
		.policy = a->policy,
		.insecure_policy = a->insecure_policy,
		.conflict = a->conflict,
		.stall_ms = a->stall_ms,
		.lock_timeout = sfd_lock_seconds(a->lock_timeout, a->stall_ms / 1000),
		.arguments = a->forwarded.items };
	sfd_cleanup_fd int socket = -EBADF, cancel_fd = -EBADF;
	int r;

	r = splitfd_fds_check_socket((int)a->sockfd,
		a->sockfd == 0 ? "standard input (--sockfd N names another socket)" : "--sockfd",
		NULL, err);
	if (r < 0)
		return r;
	/* No program that we start inherits the client's connection. */
	if (a->sockfd > STDERR_FILENO && fcntl((int)a->sockfd, F_SETFD, FD_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot use the socket %ld", a->sockfd);
	/* Not 0, which a program that we start gets as its own. */
	socket = fcntl((int)a->sockfd, F_DUPFD_CLOEXEC, 3);
	if (socket < 0)
		return splitfd_error_sys(err, errno, "cannot use the socket %ld", a->sockfd);
	cancel_fd = eventfd(0, EFD_CLOEXEC);
	if (cancel_fd < 0)
		return splitfd_error_sys(err, errno, "cannot make an eventfd");
	/* Each open blob takes descriptors. */
	sfd_raise_fd_limit();
	settings.socket = socket;
	settings.cancel_fd = cancel_fd;
	sfd_cancel_install_server(socket, cancel_fd);
	return sfd_proxy_serve(&settings, err);
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_proxy_arguments a;
	int r = sfd_proxy_parse_arguments(&sfd_cmd_proxy, argc, argv, &a, err);

	if (r == 0)
		r = serve(&a, err);
	sfd_proxy_arguments_done(&a);
	return r < 0 ? r : 0;
}
