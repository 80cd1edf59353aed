/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/cancel.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/ring.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* The number of the signal, and what is readable after it (0: nothing), which is set before the
 * handlers are there, as is the socket of a server's client. */
static struct sfd_stop_event stop;
static int client = -EBADF;

static void on_signal(int signo)
{
	int saved = errno;

	sfd_flag_set(&stop.flag, signo);
	if (client >= 0)
		(void)shutdown(client, SHUT_RDWR);
	if (stop.fd > 0)
		sfd_ring(stop.fd);
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

	stop.fd = fd > 0 ? fd : 0;
	install();
}

void sfd_cancel_install_server(int client_socket, int event_fd)
{
	client = client_socket;
	stop.fd = event_fd;
	install();
}

int sfd_cancel_fd(void)
{
	return stop.fd;
}

const volatile int *sfd_cancel_flag(void)
{
	return &stop.flag;
}

const struct sfd_stop_event *sfd_cancel_stop(void)
{
	return &stop;
}
