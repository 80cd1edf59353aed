/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CHUNK_CLEANUP_H
#define SPLITFD_CHUNK_CLEANUP_H

/*
 * Cleanup attributes of what the public chunk.h declares.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/chunk.h"

SFD_DEFINE_CLEANUP(sfd_cleanup_source_, struct splitfd_source, splitfd_source_free);
#define sfd_cleanup_source sfd_cleanup(sfd_cleanup_source_)

SFD_DEFINE_CLEANUP(sfd_cleanup_sink_, struct splitfd_sink, splitfd_sink_free);
#define sfd_cleanup_sink sfd_cleanup(sfd_cleanup_sink_)

#endif
