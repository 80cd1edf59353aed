/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cancel.h"
#include "splitfdstream/base/flag.h"

#include <signal.h>

static volatile int cancelled;

static void on_signal(int signo)
{
	sfd_flag_set(&cancelled, signo);
}

void sfd_cancel_install(void)
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

const volatile int *sfd_cancel_flag(void)
{
	return &cancelled;
}
