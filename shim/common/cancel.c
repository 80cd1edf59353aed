/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/ring.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static volatile int cancelled;
/* Set before the handlers are there: the socket of a server's client, and what is readable after a
 * signal. */
static int client = -1, cancel_fd;

static void on_signal(int signo)
{
	int saved = errno;

	sfd_flag_set(&cancelled, signo);
	if (client >= 0)
		(void)shutdown(client, SHUT_RDWR);
	if (cancel_fd > 0)
		sfd_ring(cancel_fd);
	errno = saved;
}

static void install(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction action = { .sa_handler = on_signal,
			.sa_flags = (int)SA_RESETHAND };
		struct sigaction before;

		/* nohup's SIGHUP stays ignored. */
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	}
}

void sfd_cancel_install(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	cancel_fd = fd > 0 ? fd : 0;
	install();
}

void sfd_cancel_install_server(int client_socket, int event_fd)
{
	client = client_socket;
	cancel_fd = event_fd;
	install();
}

int sfd_cancel_fd(void)
{
	return cancel_fd;
}

const volatile int *sfd_cancel_flag(void)
{
	return &cancelled;
}
