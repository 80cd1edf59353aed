/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-formats.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "splitfdstream/splitfdstream-writer.h"

#include <string.h>

/* A small negative number of 64 bits: the length of a tar header's bytes. Or nothing at all. */
static bool splitfdstream_may_begin(const uint8_t *head, size_t n)
{
	return n == 0 || (n >= SFD_WIRE_HEAD && memcmp(head + 4, "\xff\xff\xff\xff", 4) == 0);
}

static int splitfdstream_reader_new(struct splitfd_input *input,
	const struct splitfd_splitdirfdstream_reader_options *options, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	(void)options;
	return splitfd_splitfdstream_reader_new(input, ret, err);
}

static int splitfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitdirfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err)
{
	const struct splitfd_splitfdstream_writer_options own = {
		.inline_max = options != NULL ? options->inline_max : 0,
	};

	return splitfd_splitfdstream_writer_new(output, &own, ret, err);
}

/* A type byte and a small number of 32 bits. */
static bool splitdirfdstream_may_begin(const uint8_t *head, size_t n)
{
	return n >= SFD_WIRE_HEAD && head[0] <= 2 && head[4] <= 0x10 &&
	       memcmp(head + 5, "\0\0\0", 3) != 0;
}

static const struct sfd_wire_format formats[] = {
	{ "splitfdstream", true, splitfdstream_may_begin, sfd_splitfdstream_header,
		splitfdstream_reader_new, splitfdstream_writer_new },
	{ "splitdirfdstream", false, splitdirfdstream_may_begin, sfd_splitdirfdstream_header,
		splitfd_splitdirfdstream_reader_new, splitfd_splitdirfdstream_writer_new },
};
#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

const struct sfd_wire_format *sfd_wire_format_by_name(const char *name)
{
	for (size_t i = 0; i < N_FORMATS; i++) {
		if (strcmp(name, formats[i].name) == 0)
			return &formats[i];
	}
	return NULL;
}

const struct sfd_wire_format *sfd_wire_format_by_bytes(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < N_FORMATS; i++) {
		if (formats[i].may_begin(head, n))
			return &formats[i];
	}
	return NULL;
}
