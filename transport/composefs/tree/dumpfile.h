/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_DUMPFILE_H
#define SPLITFD_COMPOSEFS_DUMPFILE_H

/*
 * A frozen tree as text, the same text as `cfsctl oci dump`. Source of the format:
 * composefs-dump(5).
 */

#include "transport/composefs/tree/tree.h"

#include <stdio.h>

int sfd_dump_write(const struct sfd_tree *tree, FILE *out, struct splitfd_error *err);

#endif
