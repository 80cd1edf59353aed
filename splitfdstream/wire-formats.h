/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_WIRE_FORMATS_H
#define SPLITFD_WIRE_FORMATS_H

/*
 * The wire formats as a table, for callers that have a format's name or its bytes. A new format is
 * a reader, a writer, a header function and a row.
 */

#include "splitfdstream/splitdirfdstream-reader.h"
#include "splitfdstream/splitdirfdstream-writer.h"
#include "splitfdstream/wire-header.h"

/* The first bytes that sfd_wire_format_by_bytes() wants, where the stream has as many. */
#define SFD_WIRE_HEAD ((size_t)8)

struct sfd_wire_format {
	const char *name;
	bool in_order; /* references are 0, 1, 2 …, each once */
	bool (*may_begin)(const uint8_t *head, size_t n);
	sfd_wire_header_fn *header;
	/* Options that the format has no use for are ignored; they may be NULL. Ownership as for
	 * the format's own functions. */
	int (*reader_new)(struct splitfd_input *input,
		const struct splitfd_splitdirfdstream_reader_options *options,
		struct splitfd_source **ret, struct splitfd_error *err);
	int (*writer_new)(struct splitfd_output *output,
		const struct splitfd_splitdirfdstream_writer_options *options,
		struct splitfd_sink **ret, struct splitfd_error *err);
};

/* NULL where there is none. */
const struct sfd_wire_format *sfd_wire_format_by_name(const char *name);
/* The format of a layer's stream that begins with these n bytes; fewer than SFD_WIRE_HEAD are all
 * there are. NULL where they are of none. */
const struct sfd_wire_format *sfd_wire_format_by_bytes(const uint8_t *head, size_t n);

#endif
