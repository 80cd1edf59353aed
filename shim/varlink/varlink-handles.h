/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_HANDLES_H
#define SPLITFD_SHIM_VARLINK_HANDLES_H

/*
 * The handles of OpenRepository: numbers from 1 on, never given twice, good on every connection of
 * the service until CloseRepository, as cfsctl's. Clients that end without closing theirs leave
 * them behind, so only the last SFD_VARLINK_HANDLES_MAX are remembered.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SFD_VARLINK_HANDLES_MAX 65536

struct sfd_varlink_handles {
	pthread_mutex_t lock;
	uint64_t last;
	uint64_t *open; /* in order */
	size_t n, cap;
};

void sfd_varlink_handles_init(struct sfd_varlink_handles *h);
void sfd_varlink_handles_done(struct sfd_varlink_handles *h);

/* 0 with a new handle; -ENOMEM. */
int sfd_varlink_handles_open(struct sfd_varlink_handles *h, uint64_t *ret);
/* `number` is JSON's. False where it is no open handle. */
bool sfd_varlink_handles_has(struct sfd_varlink_handles *h, double number);
bool sfd_varlink_handles_close(struct sfd_varlink_handles *h, double number);

#endif
