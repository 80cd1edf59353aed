/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_KERNEL_VERITY_H
#define SPLITFD_COMPOSEFS_KERNEL_VERITY_H

/* The kernel's side of fs-verity, for secure repositories. */

#include "transport/composefs/object-digest.h"

/* Makes the file immutable with fs-verity (blocks of 4096, no salt). fd is O_RDONLY and nobody has
 * the file open for writing; a writer that is just going away (-ETXTBSY) is waited for, shortly.
 * 0 also where it has fs-verity already; -EOPNOTSUPP where the file system or the kernel has none;
 * -errno. */
int sfd_kernel_verity_enable(int fd, enum splitfd_algorithm algorithm);

/* 1 and the digest that the kernel enforces; 0 where the file has none or the file system cannot;
 * -errno; -EPROTO where it has one of another algorithm than `algorithm` (0: any). */
int sfd_kernel_verity_measure(int fd, enum splitfd_algorithm algorithm, struct splitfd_digest *ret);

#endif
