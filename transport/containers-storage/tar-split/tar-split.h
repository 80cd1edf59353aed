/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CONTAINERS_STORAGE_TAR_SPLIT_H
#define SPLITFD_CONTAINERS_STORAGE_TAR_SPLIT_H

/*
 * ID.tar-split.gz: what is needed besides the files to write a layer's tar again. A gzip file of
 * JSON objects, one for each run of raw bytes and one for each tar member, in the tar's order.
 * Source of the format: tar-split's storage.Entry (github.com/vbatts/tar-split), as container-libs
 * write it.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One object is never longer than this, in bytes of JSON. Today's writers stay near 1.4 MiB; old
 * ones put all bytes behind the last member into one object. */
#define SFD_TAR_SPLIT_LINE_MAX ((size_t)64 * 1024 * 1024)

enum sfd_tar_split_type {
	SFD_TAR_SPLIT_FILE = 1,	   /* a tar member; its content follows where it has any */
	SFD_TAR_SPLIT_SEGMENT = 2, /* raw bytes: headers, padding, end blocks */
};

/* Pointers are borrowed until the next call for the same reader. */
struct sfd_tar_split_entry {
	enum sfd_tar_split_type type;
	const char *name; /* FILE: as the tar has it, NUL-terminated, no NUL inside; may be "" */
	size_t name_len;
	uint64_t size;		/* FILE: the member's size; 0 where it has none */
	const uint8_t *payload; /* SEGMENT: the bytes; FILE: CRC-64, 8 bytes big-endian, or none */
	size_t payload_len;
	uint64_t number; /* 0, 1, 2… over all entries */
};

/* Takes one JSON object off the front of n bytes at `text`, which it alters (strings are decoded
 * in place), and which must be followed by one more byte that may be written. 1: *ret is filled,
 * *ret_used bytes were used. 0: the object is not complete; nothing was altered. -EINVAL: no
 * tar-split entry; *ret_why says why. `tree` keeps the memory of a line of unusual form: NULL at
 * the start, freed by sfd_tar_split_drop(). */
struct sfd_tar_split_tree;
int sfd_tar_split_scan(char *text, size_t n, struct sfd_tar_split_entry *ret, size_t *ret_used,
	struct sfd_tar_split_tree **tree, const char **ret_why);
/* NULL is allowed. Returns NULL. */
struct sfd_tar_split_tree *sfd_tar_split_drop(struct sfd_tar_split_tree *tree);

struct sfd_tar_split;

/* Reads from the start of fd, a regular file, which is taken, also on failure. `what` names the
 * layer in errors and is copied. *ret is the caller's. */
int sfd_tar_split_new(
	int fd, const char *what, struct sfd_tar_split **ret, struct splitfd_error *err);

/* 1: *ret is the next entry. 0: the file ended where it may. Damage is -EINVAL, kind REFUSED, with
 * the byte offset; the reader is of no use afterwards. */
int sfd_tar_split_next(
	struct sfd_tar_split *reader, struct sfd_tar_split_entry *ret, struct splitfd_error *err);

/* NULL is allowed. Returns NULL. */
struct sfd_tar_split *sfd_tar_split_free(struct sfd_tar_split *reader);

#endif
