/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/number-set.h"

#include <errno.h>
#include <stdlib.h>

static size_t find(const struct sfd_number_set *s, uint32_t number)
{
	/* Runs of numbers are spread, so that two runs do not meet in one stretch of slots. */
	size_t slot = (uint32_t)(number * 0x9e3779b1U) >> (32 - __builtin_ctzl(s->n_slots));

	while (s->slots[slot] != 0 && s->numbers[s->slots[slot] - 1] != number)
		slot = (slot + 1) & (s->n_slots - 1);
	return slot;
}

static int grow_slots(struct sfd_number_set *s)
{
	size_t n_slots = s->n_slots == 0 ? 64 : s->n_slots * 2;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	free(s->slots);
	s->slots = slots;
	s->n_slots = n_slots;
	for (size_t i = 0; i < s->n; i++)
		s->slots[find(s, s->numbers[i])] = (uint32_t)i + 1;
	return 0;
}

static int grow_numbers(struct sfd_number_set *s)
{
	size_t cap = s->cap == 0 ? 64 : s->cap + s->cap / 4;
	uint32_t *numbers = reallocarray(s->numbers, cap, sizeof(*numbers));

	if (numbers == NULL)
		return -ENOMEM;
	s->numbers = numbers;
	s->cap = cap;
	return 0;
}

ptrdiff_t sfd_number_set_add(struct sfd_number_set *s, uint32_t number)
{
	size_t slot;

	if ((s->n + 1) * 4 > s->n_slots * 3 && grow_slots(s) < 0)
		return -ENOMEM;
	slot = find(s, number);
	if (s->slots[slot] != 0)
		return (ptrdiff_t)s->slots[slot] - 1;
	if (s->n == s->cap && grow_numbers(s) < 0)
		return -ENOMEM;
	s->numbers[s->n] = number;
	s->slots[slot] = (uint32_t)++s->n;
	return (ptrdiff_t)s->n - 1;
}

void sfd_number_set_done(struct sfd_number_set *s)
{
	free(s->numbers);
	free(s->slots);
	*s = (struct sfd_number_set){ 0 };
}
