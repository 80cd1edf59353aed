/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_PUMP_H
#define SPLITFD_PUMP_H

/*
 * splitfd_pump() for callers that count what passes.
 */

#include "splitfdstream/chunk.h"

/* The tar's bytes that a chunk stands for, once the sink has it. */
typedef void sfd_moved_fn(void *ctx, uint64_t bytes);

/* As splitfd_pump(); `moved` may be NULL. */
int sfd_pump(struct splitfd_source *source, struct splitfd_sink *sink, const volatile int *cancel,
	sfd_moved_fn *moved, void *ctx, struct splitfd_error *err);

#endif
