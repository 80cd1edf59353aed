/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/worker-budget.h"

void sfd_worker_budget_init(struct sfd_worker_budget *budget, unsigned int workers)
{
	atomic_init(&budget->left, workers);
}

unsigned int sfd_worker_budget_take(struct sfd_worker_budget *budget)
{
	return atomic_exchange(&budget->left, 0);
}

void sfd_worker_budget_give(struct sfd_worker_budget *budget, unsigned int workers)
{
	atomic_fetch_add(&budget->left, workers);
}
