/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_CONFINED_CHILD_H
#define SPLITFD_SHIM_CONFINED_CHILD_H

/*
 * Work on untrusted data in a process of its own, for commands that need their privileges
 * afterwards: there is no way back from a sandbox.
 */

#include "splitfdstream/base/error.h"

#include <stddef.h>

/* Fills the `size` bytes at `result`, which hold no pointer. 0, or -errno with a text. */
typedef int sfd_child_fn(void *ctx, void *result, struct splitfd_error *err);

/* Runs `work` in a child process, which confines itself (confine.h), and returns what it returns,
 * with its result and error. The child ends with this process, and what is printed by it is
 * printed. A signal that ends the command is passed on (cancel.h). Before any thread. */
int sfd_in_child(
	sfd_child_fn *work, void *ctx, void *result, size_t size, struct splitfd_error *err);

#endif
