/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_WORKER_BUDGET_H
#define SPLITFD_SHIM_WORKER_BUDGET_H

/*
 * Worker threads of all clients of a service: together not many more than one program would start
 * for itself, however many clients there are.
 */

#include <stdatomic.h>

struct sfd_worker_budget {
	atomic_uint left;
};

/* `workers`: of the whole service. */
void sfd_worker_budget_init(struct sfd_worker_budget *budget, unsigned int workers);

/* All that are left, which is to be given back; 0 where others have them. Then the caller works
 * with one: nobody waits for another client's layer, which may take for ever. */
unsigned int sfd_worker_budget_take(struct sfd_worker_budget *budget);
void sfd_worker_budget_give(struct sfd_worker_budget *budget, unsigned int workers);

#endif
