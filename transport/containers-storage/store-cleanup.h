/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_STORE_CLEANUP_H
#define SPLITFD_CONTAINERS_STORAGE_STORE_CLEANUP_H

/*
 * Cleanup attributes of what the public store.h declares.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store.h"

SFD_DEFINE_CLEANUP(sfd_cleanup_store_, struct splitfd_store, splitfd_store_close);
#define sfd_cleanup_store sfd_cleanup(sfd_cleanup_store_)

SFD_DEFINE_CLEANUP(sfd_cleanup_image_, struct splitfd_image, splitfd_image_close);
#define sfd_cleanup_image sfd_cleanup(sfd_cleanup_image_)

#endif
