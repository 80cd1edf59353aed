/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_FIELDS_H
#define SPLITFD_TAR_FIELDS_H

/*
 * Where a tar header's fields are, for the files that read headers.
 */

enum sfd_tar_field {
	NAME = 0,
	NAME_LEN = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	CHECKSUM = 148,
	TYPE = 156,
	LINK = 157,
	LINK_LEN = 100,
	MAGIC = 257,
	DEV_MAJOR = 329,
	DEV_MINOR = 337,
	PREFIX = 345, /* ustar */
	PREFIX_LEN = 155,
	STAR_PREFIX_LEN = 131, /* star, whose times follow it */
	STAR_ATIME = 476,
	STAR_CTIME = 488,
	STAR_TRAILER = 508,
	GNU_ATIME = 345, /* GNU, which has no prefix */
	GNU_CTIME = 357,
};

#endif
