/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/stop-signal.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/flag.h"
#include "splitfdstream/base/ring.h"
#include "splitfdstream/base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct sfd_stop {
	int signal_fd;
	int stop_fd; /* readable for ever after the first signal */
	int end_fd;  /* ends the thread */
	volatile int flag;
	struct sfd_thread thread;
	sigset_t signals, before;
};

/* The first signal is told; the next is taken as if nobody looked. */
static void *watch(void *ctx)
{
	struct sfd_stop *s = ctx;

	for (;;) {
		struct pollfd p[2] = {
			{ .fd = s->signal_fd, .events = POLLIN },
			{ .fd = s->end_fd, .events = POLLIN },
		};
		struct signalfd_siginfo info;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents != 0)
			return NULL;
		if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (sfd_flag_is_set(&s->flag)) {
			(void)signal((int)info.ssi_signo, SIG_DFL);
			(void)pthread_sigmask(SIG_UNBLOCK, &s->signals, NULL);
			(void)raise((int)info.ssi_signo);
		}
		sfd_flag_set(&s->flag, (int)info.ssi_signo);
		sfd_ring(s->stop_fd);
	}
}

/* nohup's SIGHUP stays ignored. */
static void choose_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	sigemptyset(set);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction action;

		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

static void close_all(struct sfd_stop *s)
{
	sfd_close(s->signal_fd);
	sfd_close(s->stop_fd);
	sfd_close(s->end_fd);
	free(s);
}

int sfd_stop_new(struct sfd_stop **ret, int *ret_fd, const volatile int **ret_flag,
	struct splitfd_error *err)
{
	struct sfd_stop *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return splitfd_error_oom(err);
	choose_signals(&s->signals);
	s->signal_fd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->end_fd = eventfd(0, EFD_CLOEXEC);
	r = s->signal_fd < 0 || s->stop_fd < 0 || s->end_fd < 0 ? errno : 0;
	if (r == 0)
		r = pthread_sigmask(SIG_BLOCK, &s->signals, &s->before);
	if (r == 0) {
		r = -sfd_thread_start(&s->thread, SFD_STACK_SMALL, watch, s);
		if (r != 0)
			(void)pthread_sigmask(SIG_SETMASK, &s->before, NULL);
	}
	if (r != 0) {
		close_all(s);
		return splitfd_error_sys(err, r, "cannot watch for signals");
	}
	*ret = s;
	*ret_fd = s->stop_fd;
	*ret_flag = &s->flag;
	return 0;
}

struct sfd_stop *sfd_stop_free(struct sfd_stop *stop)
{
	if (stop == NULL)
		return NULL;
	sfd_ring(stop->end_fd);
	sfd_thread_join(&stop->thread);
	(void)pthread_sigmask(SIG_SETMASK, &stop->before, NULL);
	close_all(stop);
	return NULL;
}
