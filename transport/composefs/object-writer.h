/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_OBJECT_WRITER_H
#define SPLITFD_COMPOSEFS_OBJECT_WRITER_H

/*
 * An object whose bytes come one after the other: streams and images, written as they are made, so
 * that none is in memory. One thread at a time.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/object-store.h"

struct sfd_object_writer;

/* *ret is the caller's. */
int sfd_object_writer_new(struct splitfd_repository *repository, struct sfd_object_writer **ret,
	struct splitfd_error *err);
/* NULL is allowed. Drops what was not finished. Returns NULL. */
struct sfd_object_writer *sfd_object_writer_free(struct sfd_object_writer *w);

/* The next bytes; `ctx` is the writer. */
int sfd_object_writer_add(void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err);
/* The object gets its name, *ret is its digest. The writer can only be freed then. */
int sfd_object_writer_finish(struct sfd_object_writer *w, struct splitfd_digest *ret,
	enum sfd_object_how *ret_how, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_object_writer_, struct sfd_object_writer, sfd_object_writer_free);
#define sfd_cleanup_object_writer sfd_cleanup(sfd_cleanup_object_writer_)

#endif
