/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_LOOP_H
#define SPLITFD_COMPOSEFS_LOOP_H

#include "splitfdstream/base/error.h"

/* A read-only loop device for the file behind `fd`, which goes away with its last user. Its path
 * ("/dev/loopN") is put at `path`. Returns a descriptor of it, or -errno. */
int sfd_loop_attach(int fd, char path[32], struct splitfd_error *err);

#endif
