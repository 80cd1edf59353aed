/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_NEAREST_H
#define SPLITFD_SHIM_NEAREST_H

/*
 * The known word that a mistyped one is nearest to.
 */

#include <stddef.h>

struct sfd_nearest {
	const char *word;
	const char *found; /* NULL: nothing is near enough to be meant */
	size_t distance;
};

/* Looks at one known word; the nearest is in `found` when all were tried. */
void sfd_nearest_try(struct sfd_nearest *n, const char *known);

#endif
