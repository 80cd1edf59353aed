/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_AS_SKOPEO_H
#define SPLITFD_SHIM_AS_SKOPEO_H

/*
 * Running under the name of skopeo.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>

/* True where argv[0] is called skopeo. */
bool sfd_is_skopeo(const char *argv0);

/* Where the arguments ask for the image proxy, puts that word first (global flags may stand before
 * it) and returns 0. Everything else becomes the real skopeo, unchanged: returns only on failure.
 */
int sfd_as_skopeo(int argc, char **argv, struct splitfd_error *err);

#endif
