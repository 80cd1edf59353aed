/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_REAL_SKOPEO_H
#define SPLITFD_SKOPEO_REAL_SKOPEO_H

/*
 * Where the real skopeo is, when splitfd itself may be the first program of that name on PATH.
 */

#include "splitfdstream/base/error.h"

/* The path of the real program, malloc'd, the caller's: `given` if not NULL; else the environment's
 * SPLITFD_SKOPEO; else the first executable `skopeo` on PATH that is not this program (by device
 * and inode) and was not started by us before: a wrapper that starts splitfd again is found once
 * and then skipped. NOT_FOUND where there is none. */
int sfd_find_skopeo(const char *given, char **ret, struct splitfd_error *err);

/* An environment (NULL-terminated, malloc'd, strings of environ borrowed but for the first, which
 * is malloc'd) in which `program` is noted as started by us. The caller frees it with
 * sfd_skopeo_environment_free. */
int sfd_skopeo_environment(const char *program, char ***ret, struct splitfd_error *err);
void sfd_skopeo_environment_free(char **environment);

/* Replaces this program by the real skopeo with the same arguments (argv[0] is kept). Returns only
 * where that failed. */
int sfd_exec_skopeo(char **argv, struct splitfd_error *err);

#endif
