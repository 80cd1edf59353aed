/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_SOURCE_H
#define SPLITFD_TAR_SOURCE_H

/*
 * A tar cut into chunks by cfsctl's rules: the content of each regular file of more than 64 bytes
 * is a chunk of its own, everything else is inline, verbatim. For tars that come as mere bytes (a
 * pipe of skopeo's, standard input) and for streams whose producer has cut them otherwise, or not
 * at all.
 */

#include "splitfdstream/chunk.h"

struct sfd_tar_source_options {
	/* Content that comes as bytes is given as an INLINE chunk with is_content up to this many
	 * bytes (at most 64 KiB), in memory; above, it is kept in an unnamed file and given as a
	 * FILE chunk with an open descriptor. 0: always a file. */
	size_t inline_content_max;
	/* The directory (borrowed, may be O_PATH) for files without a name; -1: a memfd. */
	int spool_dir;
};

/* A source that cuts what `inner` gives; always takes it. A FILE chunk of `inner` that is just the
 * content of one file of more than 64 bytes is passed on untouched; one of another length than the
 * tar says is refused; any other (content of up to 64 bytes, of a hard link, headers) is read and
 * becomes inline. Memory is fixed, 1 MiB at most for the headers of one entry. A sparse
 * file that a pax header describes is cut like any other; from one in GNU's old form (type 'S') on
 * all is inline: the layer is exact, but says nothing about its files. Errors (kind
 * REFUSED) name the byte offset in the tar and stick: truncation, bad checksum, names that are
 * empty, absurd sizes. `options` NULL: zeros and a memfd. *ret is the caller's. */
int sfd_tar_source_new(struct splitfd_source *inner, const struct sfd_tar_source_options *options,
	struct splitfd_source **ret, struct splitfd_error *err);

/* The bytes of fd (always taken) as INLINE chunks of up to 64 KiB, up to end of file. timeout_ms is
 * the longest silence of the peer, < 0 for ever; waiting for it ends with -ECANCELED when cancel_fd
 * (0: none; borrowed) is readable. *ret is the caller's. */
int sfd_bytes_source_new(int fd, int timeout_ms, int cancel_fd, struct splitfd_source **ret,
	struct splitfd_error *err);

/* The same through a decompressor that the first bytes choose: gzip, zstd, xz, bzip2, or none.
 * Several members or frames are one stream. Damaged data is REFUSED. */
int sfd_archive_source_new(int fd, int timeout_ms, int cancel_fd, struct splitfd_source **ret,
	struct splitfd_error *err);

#endif
