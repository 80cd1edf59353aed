/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REPOSITORY_CLEANUP_H
#define SPLITFD_COMPOSEFS_REPOSITORY_CLEANUP_H

/*
 * Cleanup attributes of what the public repository.h declares.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository.h"

SFD_DEFINE_CLEANUP(sfd_cleanup_repository_, struct splitfd_repository, splitfd_repository_close);
#define sfd_cleanup_repository sfd_cleanup(sfd_cleanup_repository_)

SFD_DEFINE_CLEANUP(sfd_cleanup_import_, struct splitfd_import, splitfd_import_free);
#define sfd_cleanup_import sfd_cleanup(sfd_cleanup_import_)

#endif
