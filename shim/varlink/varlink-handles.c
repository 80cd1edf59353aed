/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sfd_varlink_handles_init(struct sfd_varlink_handles *h)
{
	*h = (struct sfd_varlink_handles){ 0 };
	(void)pthread_mutex_init(&h->lock, NULL);
}

void sfd_varlink_handles_done(struct sfd_varlink_handles *h)
{
	free(h->open);
	(void)pthread_mutex_destroy(&h->lock);
}

static void drop(struct sfd_varlink_handles *h, size_t i)
{
	memmove(h->open + i, h->open + i + 1, (--h->n - i) * sizeof(*h->open));
}

static int make_room(struct sfd_varlink_handles *h)
{
	size_t cap = h->cap == 0 ? 16 : h->cap * 2;
	uint64_t *open;

	if (h->n < h->cap)
		return 0;
	open = reallocarray(h->open, cap, sizeof(*open));
	if (open == NULL)
		return -ENOMEM;
	h->open = open;
	h->cap = cap;
	return 0;
}

int sfd_varlink_handles_open(struct sfd_varlink_handles *h, uint64_t *ret)
{
	int r;

	pthread_mutex_lock(&h->lock);
	if (h->n == SFD_VARLINK_HANDLES_MAX)
		drop(h, 0);
	r = make_room(h);
	if (r == 0)
		h->open[h->n++] = *ret = ++h->last;
	pthread_mutex_unlock(&h->lock);
	return r;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The place of an open handle; NULL where it is none. */
static uint64_t *find(const struct sfd_varlink_handles *h, double number)
{
	uint64_t handle;

	if (!(number >= 1 && number <= (double)h->last) || h->n == 0)
		return NULL;
	handle = (uint64_t)number;
	return bsearch(&handle, h->open, h->n, sizeof(handle), compare);
}

bool sfd_varlink_handles_has(struct sfd_varlink_handles *h, double number)
{
	bool has;

	pthread_mutex_lock(&h->lock);
	has = find(h, number) != NULL;
	pthread_mutex_unlock(&h->lock);
	return has;
}

bool sfd_varlink_handles_close(struct sfd_varlink_handles *h, double number)
{
	uint64_t *at;

	pthread_mutex_lock(&h->lock);
	at = find(h, number);
	if (at != NULL)
		drop(h, (size_t)(at - h->open));
	pthread_mutex_unlock(&h->lock);
	return at != NULL;
}
