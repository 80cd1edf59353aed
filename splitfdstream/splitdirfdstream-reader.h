/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SPLITDIRFDSTREAM_READER_H
#define SPLITFD_SPLITDIRFDSTREAM_READER_H

/*
 * splitdirfdstream, the wire format: chunks that start with a type byte, integers little-endian.
 *
 *	0x00 Metadata		u32 length, then as many bytes (headers, padding)
 *	0x01 InlineData		u32 length, then as many bytes: one file's content, exactly
 *	0x02 FileBackedData	u64 content length, u32 directory index, u32 name length, name:
 *				the whole content of that file below that directory
 *
 * At most 256 MiB of bytes and 4096 bytes of name in a chunk. No header, no end mark: the stream
 * ends at a type byte. Source of the format: composefs-splitdirfdstream 0.9.4 (varlink's GetLayer
 * and PutLayer of composefs-rs).
 */

#include "splitfdstream/chunk.h"
#include "splitfdstream/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Directories that one stream may name. */
#define SPLITFD_DIRS_MAX 4096

struct splitfd_splitdirfdstream_reader_options {
	/* A directory (borrowed, may be O_PATH) in which InlineData of more than 64 KiB is kept in
	 * a file without a name; negative: in anonymous memory (memfd). */
	int spool_dir;
	/* The files below a directory that came with the stream: takes `dir`, always, and gives a
	 * set with one reference. NULL: they are opened with this process's own rights. For streams
	 * of a peer that may name what it could not open itself. */
	int (*files_new)(void *ctx, int dir, struct splitfd_files **ret, struct splitfd_error *err);
	void *files_ctx; /* borrowed until the source is freed */
};

/* A source that reads the format. Always takes the input, also on failure; its get_fd is asked for
 * directory 0, 1, 2 … once each, when a chunk first names one that has not come yet; slots that no
 * chunk names are never looked at and may hold anything.
 *
 * Metadata is given in pieces of at most 64 KiB, InlineData whole (is_content), above 64 KiB as a
 * FILE chunk with an open descriptor: memory is fixed whatever the stream holds. FileBackedData is
 * a FILE chunk with `files` and `name`; opening it never leaves the directory (openat2, symlinks on
 * the way are followed inside it only, the last component never, no mount is crossed) and never
 * opens anything but a regular file of the length in the stream. Refused before any system call:
 * names that are empty, absolute, hold a NUL or a component "..". Errors name the byte offset and
 * stick. `options` NULL: memory. *ret is the caller's. */
int splitfd_splitdirfdstream_reader_new(struct splitfd_input *input,
	const struct splitfd_splitdirfdstream_reader_options *options, struct splitfd_source **ret,
	struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
