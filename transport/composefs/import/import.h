/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_IMPORT_H
#define SPLITFD_COMPOSEFS_IMPORT_H

/*
 * What the image side of this room and the program need of an import beyond repository.h.
 */

#include "transport/composefs/images/names.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/stream/stream-events.h"

/* The layer is also told to `listener` (copied) while it is imported, in stream order. Calls come
 * from one thread at a time, but from any; the first error ends the import of the layer. Before the
 * first put. NULL takes the listener away. */
void sfd_import_layer_listen(
	struct splitfd_sink *layer, const struct sfd_stream_listener *listener);

/* No chunk follows. Returns at once: the layer is completed in the background, and the memory that
 * it needs (some MiB) is freed then; splitfd_sink_finish waits for it and tells how it went. For
 * layers that are fed one after the other, with the finish calls at the end. */
void sfd_import_layer_end(struct splitfd_sink *layer);

/* Workers of an import that is not told how many: one for each CPU, at most 12. */
unsigned int sfd_import_auto_jobs(void);

/* Bytes of the layer that are done, whatever their order: for progress bars. Any thread. */
uint64_t sfd_import_layer_worked(const struct splitfd_sink *layer);

/* The digest of a finished layer's splitstream. */
void sfd_import_layer_digest(const struct splitfd_sink *layer, struct splitfd_digest *ret);

/* After a finish, where diff_ids are verified: what the tar's sha256 is ("sha256:HEX" and a NUL, 72
 * bytes at `text`), also where it is not the one that was wanted; "" where the tar had no end. */
void sfd_import_layer_actual(const struct splitfd_sink *layer, char text[72]);

/* Counts a layer that the repository had already. */
void sfd_import_count_present(struct splitfd_import *import);

/* Counts an object that was stored beside the layers. */
void sfd_import_count_object(struct splitfd_import *import, enum sfd_object_how how, uint64_t size);

/* The names of the layers finished so far, each an ADOPT name, in the order of their finish calls;
 * the import's own. Whoever commits an image adds its names to these and commits once; after that,
 * splitfd_import_commit has nothing left to do. */
struct sfd_names *sfd_import_names(struct splitfd_import *import);

#endif
