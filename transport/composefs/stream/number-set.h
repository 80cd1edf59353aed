/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_NUMBER_SET_H
#define SPLITFD_COMPOSEFS_NUMBER_SET_H

/*
 * Distinct numbers in the order in which they were added: at most 16 bytes for each. Starts as
 * { 0 }. One thread at a time.
 */

#include <stddef.h>
#include <stdint.h>

struct sfd_number_set {
	uint32_t *numbers; /* n, in order */
	size_t n, cap;
	uint32_t *slots; /* place + 1, 0 is free */
	size_t n_slots;	 /* a power of two, or 0 */
};

/* The place of a number, from 0 on, which is added where it is new. -ENOMEM. */
ptrdiff_t sfd_number_set_add(struct sfd_number_set *set, uint32_t number);
void sfd_number_set_done(struct sfd_number_set *set);

#endif
