/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/pull-stop.h"
#include "splitfdstream/base/flag.h"

void sfd_pull_stop_init(struct sfd_pull_stop *stop)
{
	*stop = (struct sfd_pull_stop){ 0 };
	(void)pthread_mutex_init(&stop->lock, NULL);
}

void sfd_pull_stop_done(struct sfd_pull_stop *stop)
{
	pthread_mutex_destroy(&stop->lock);
}

void sfd_pull_stop_now(struct sfd_pull_stop *stop)
{
	pthread_mutex_lock(&stop->lock);
	sfd_flag_set(&stop->flag, 1);
	if (stop->wake != NULL)
		stop->wake(stop->ctx);
	pthread_mutex_unlock(&stop->lock);
}

void sfd_pull_stop_hook(struct sfd_pull_stop *stop, void (*wake)(void *ctx), void *ctx)
{
	if (stop == NULL)
		return;
	pthread_mutex_lock(&stop->lock);
	stop->wake = wake;
	stop->ctx = ctx;
	if (wake != NULL && sfd_flag_is_set(&stop->flag))
		wake(ctx);
	pthread_mutex_unlock(&stop->lock);
}
