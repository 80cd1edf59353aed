/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_WIRE_HEADER_H
#define SPLITFD_WIRE_HEADER_H

/*
 * The framing of both wire formats, without what it stands for: a chunk's header at a time, checked
 * as far as it can be without descriptors. The readers, and whoever looks at a stream in a file.
 */

#include "splitfdstream/wire-cursor.h"

/* A splitdirfdstream that its producer cannot complete ends in this byte and up to
 * SFD_WIRE_REASON_MAX bytes of text. It is no type of chunk, so that readers that do not know it
 * fail, too. */
#define SFD_WIRE_FAILED	    0xff
#define SFD_WIRE_REASON_MAX ((size_t)1024)

enum sfd_wire_kind {
	SFD_WIRE_INLINE,    /* `size` bytes follow, and are still to be taken */
	SFD_WIRE_CONTENT,   /* the same: one file's content */
	SFD_WIRE_REFERENCE, /* nothing follows */
};

struct sfd_wire_header {
	enum sfd_wire_kind kind;
	uint64_t offset; /* of the chunk in the stream */
	uint64_t size;	 /* of the bytes, or of the file; UINT64_MAX: the stream does not say */
	uint32_t index;	 /* REFERENCE: the descriptor's, or the directory's */
	size_t name_len; /* 0: the format has none */
	char name[SPLITFD_NAME_MAX + 1];
};

/* Takes the next chunk's header. 1: *ret is set; 0: the stream ends here, rightly; -errno: it is
 * refused, for good. `ret` keeps its place between calls: a header without a name leaves `name` as
 * it was. */
typedef int sfd_wire_header_fn(
	struct sfd_cursor *c, struct sfd_wire_header *ret, struct splitfd_error *err);

sfd_wire_header_fn sfd_splitfdstream_header;
sfd_wire_header_fn sfd_splitdirfdstream_header;

/* Joins inline chunks that are at hand behind the INLINE chunk that was given last (see
 * sfd_cursor_join). */
void sfd_splitfdstream_join(struct sfd_cursor *c, struct splitfd_chunk *last);
void sfd_splitdirfdstream_join(struct sfd_cursor *c, struct splitfd_chunk *last);

#endif
