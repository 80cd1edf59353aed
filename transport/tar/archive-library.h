/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_ARCHIVE_LIBRARY_H
#define SPLITFD_TAR_ARCHIVE_LIBRARY_H

/*
 * libarchive, opened when the first compressed stream is read: it brings a dozen libraries along,
 * which would be half of the start of a program that seldom needs them.
 */

#include "splitfdstream/base/error.h"

#include <archive.h>

/* The functions that are used, with libarchive's own types. */
struct sfd_archive_library {
	__typeof__(&archive_read_new) read_new;
	__typeof__(&archive_read_free) read_free;
	__typeof__(&archive_read_support_filter_gzip) filter_gzip;
	__typeof__(&archive_read_support_filter_zstd) filter_zstd;
	__typeof__(&archive_read_support_filter_xz) filter_xz;
	__typeof__(&archive_read_support_filter_bzip2) filter_bzip2;
	__typeof__(&archive_read_support_format_raw) format_raw;
	__typeof__(&archive_read_support_format_empty) format_empty;
	__typeof__(&archive_read_open) read_open;
	__typeof__(&archive_read_next_header) next_header;
	__typeof__(&archive_read_data) read_data;
	__typeof__(&archive_filter_bytes) filter_bytes;
	__typeof__(&archive_error_string) error_string;
	__typeof__(&archive_errno) error_number;
	__typeof__(&archive_set_error) set_error;
};

/* Loads the library, or finds it loaded; it stays in the process. Several threads may call this.
 * -ENOTSUP where it is missing or lacks a function, with a text that names the library. */
int sfd_archive_library_open(struct sfd_archive_library *ret, struct splitfd_error *err);

#endif
