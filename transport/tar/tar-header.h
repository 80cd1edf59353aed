/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_HEADER_H
#define SPLITFD_TAR_HEADER_H

/*
 * One tar header block and the records of one pax header. Source of the format: POSIX.1-2017 pax
 * ("ustar Interchange Format"), GNU tar's manual (base-256 numbers, long names). Where those leave
 * room, two programs count: sfd_tar_header_decode and _numbers take what cfsctl 0.9.4 takes,
 * sfd_tar_header_podman takes what Go's archive/tar takes, which podman reads layers with.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SFD_TAR_BLOCK 512

/* One header, decoded. Strings point into the block and have no NUL. */
struct sfd_tar_header {
	char type;     /* the type flag; NUL is given as '0' */
	bool old_file; /* the type flag is NUL */
	bool ustar;    /* magic "ustar\0" "00"; podman: any version */
	bool gnu;      /* magic "ustar " " \0"; neither: v7 */
	const char *name, *link, *prefix;
	size_t name_len, link_len, prefix_len; /* prefix_len 0 where the form has none */
	uint64_t size, uid, gid, mtime;
	uint32_t mode, dev_major, dev_minor; /* devices: 0 for v7 */
};

/* True where all 512 bytes are zero. */
bool sfd_tar_block_zero(const uint8_t *block);

/* Checks the checksum and decodes the size and the type; -EINVAL with a text (kind REFUSED) where a
 * field is no number. The other numbers are decoded by sfd_tar_header_numbers, because headers of
 * headers ('x', 'g', 'L', 'K') may have anything there. */
int sfd_tar_header_decode(
	const uint8_t *block, struct sfd_tar_header *ret, struct splitfd_error *err);
int sfd_tar_header_numbers(
	const uint8_t *block, struct sfd_tar_header *h, struct splitfd_error *err);

/* All of a header as Go's archive/tar reads it, which is stricter with numbers, takes signed
 * checksums, and finds a prefix in headers with GNU's magic where the field is no time stamp.
 * -EINVAL with a text (kind REFUSED). */
int sfd_tar_header_podman(
	const uint8_t *block, struct sfd_tar_header *ret, struct splitfd_error *err);

/* A number field as archive/tar reads it; it may be negative. */
bool sfd_tar_number_podman(const uint8_t *field, size_t n, int64_t *ret);

struct sfd_tar_record {
	const char *key, *value;
	size_t key_len, value_len;
};

/* Takes the next record from *data; moves *data and *len on. 1, 0 at the end, -EINVAL with a text.
 * A rest that does not start with a number is the end, as cfsctl takes it. */
int sfd_tar_record_next(
	const char **data, size_t *len, struct sfd_tar_record *ret, struct splitfd_error *err);

/* The same as archive/tar takes records: any key, nothing but records. */
int sfd_tar_record_podman(
	const char **data, size_t *len, struct sfd_tar_record *ret, struct splitfd_error *err);

bool sfd_tar_record_is(const struct sfd_tar_record *record, const char *key);

/* A decimal number; a plus sign in front is allowed. False where the text is anything else or does
 * not fit. */
bool sfd_tar_decimal(const char *text, size_t len, uint64_t *ret);

/* A pax time, "seconds.fraction"; cut, not rounded, to nanoseconds. Negative times are floored. */
bool sfd_tar_time(const char *text, size_t len, int64_t *ret_sec, uint32_t *ret_nsec);

#endif
