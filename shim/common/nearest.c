/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/nearest.h"

#include <string.h>

#define LENGTH_MAX 32

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop or replace until `a` is `b`. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[LENGTH_MAX + 1];

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t replaced = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = least(replaced, least(row[j], row[j + 1]) + 1);
		}
	}
	return row[n];
}

void sfd_nearest_try(struct sfd_nearest *n, const char *known)
{
	size_t length = strlen(n->word), d;

	if (length < 2 || length > LENGTH_MAX || strlen(known) > LENGTH_MAX)
		return;
	d = distance(n->word, known);
	if (d > 2 || d >= length || (n->found != NULL && d >= n->distance))
		return;
	n->found = known;
	n->distance = d;
}
