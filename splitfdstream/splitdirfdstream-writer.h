/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SPLITDIRFDSTREAM_WRITER_H
#define SPLITFD_SPLITDIRFDSTREAM_WRITER_H

/*
 * The writer of splitdirfdstream (see splitdirfdstream-reader.h for the format).
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct splitfd_splitdirfdstream_writer_options {
	/* Files of at most so many bytes (not above 256 MiB) are sent as InlineData. */
	uint64_t inline_max;
	/* The consumer may open files that are not readable by everybody (it has
	 * CAP_DAC_READ_SEARCH, or is their owner). Else they are sent as InlineData. */
	bool consumer_reads_all;
	/* The set of files (a reference is taken) whose directories the consumer already has as
	 * indices 0, 1 …: nothing is sent for it. NULL: none. */
	struct splitfd_files *known_files;
};

/* A sink that writes the format. Always takes the output, also on failure. Directories get the
 * indices 0, 1, 2 …; those of a set of files are sent (in messages of the output's fd_batch) ahead
 * of the first chunk that names one of them: with one set, as a layer has, all go at once at the
 * start. A file goes as FileBackedData where the consumer can open it by its name (a regular file,
 * confined, valid UTF-8, readable by mode); else its content goes as InlineData, its CRC-64
 * checked; one of more than 256 MiB that cannot be named is an error. Each named file is opened
 * here first, so that what the consumer will not find is an error of the producer. `options` NULL:
 * zeros. *ret is the caller's. */
int splitfd_splitdirfdstream_writer_new(struct splitfd_output *output,
	const struct splitfd_splitdirfdstream_writer_options *options, struct splitfd_sink **ret,
	struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
