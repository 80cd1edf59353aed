/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_PARSER_H
#define SPLITFD_TAR_PARSER_H

/*
 * The entries of a tar whose file contents may have been taken out. The parser is fed with what is
 * left, in pieces of any size, and with word of each content that was taken out; it tells each
 * entry once all of it is known. It holds one entry's metadata at most (1 MiB for each kind of
 * extension header).
 *
 * ustar, v7, GNU long names, pax (path, linkpath, size, uid, gid, mtime, SCHILY.xattr), base-256,
 * sparse files of all four formats.
 *
 * Two programs read layers, and not always alike: podman (Go's archive/tar) and cfsctl. An entry is
 * read by the rules of both. Where one of them refuses it, the other's rules count from there on;
 * where both take it but not for the same, podman's count, and sfd_tar_parser_difference says so.
 */

#include "splitfdstream/base/error.h"
#include "transport/tar/tar-entry.h"

struct sfd_tar_parser;

/* NULL when memory is short. `entry` returns 0 or -errno with a text. */
struct sfd_tar_parser *sfd_tar_parser_new(
	int (*entry)(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err),
	void *ctx);
/* Before the first byte: only cfsctl's rules count. */
void sfd_tar_parser_as_cfsctl(struct sfd_tar_parser *p);
/* NULL is allowed. Returns NULL. */
struct sfd_tar_parser *sfd_tar_parser_free(struct sfd_tar_parser *p);

/* The next bytes. An error names the byte offset and the entry; the parser is of no use then.
 * Content of a file that should be an object is -EILSEQ. */
int sfd_tar_parser_feed(
	struct sfd_tar_parser *p, const uint8_t *data, size_t len, struct splitfd_error *err);

/* The same, but stops in front of content that has to be an object: *ret_taken bytes were taken,
 * and *ret_object is the size of that content; 0 where all bytes were taken. */
int sfd_tar_parser_feed_to_object(struct sfd_tar_parser *p, const uint8_t *data, size_t len,
	size_t *ret_taken, uint64_t *ret_object, struct splitfd_error *err);

/* Where content has to come as an object: its entry; borrowed until it is told. Else NULL. */
const struct sfd_tar_entry *sfd_tar_parser_at_object(const struct sfd_tar_parser *p);

/* The content that comes now was taken out. `size` is compared with the header, unless it is
 * UINT64_MAX. */
int sfd_tar_parser_object(struct sfd_tar_parser *p, uint64_t size, struct splitfd_error *err);

/* The end of the stream: an error in the middle of an entry. */
int sfd_tar_parser_finish(struct sfd_tar_parser *p, struct splitfd_error *err);

/* Whose rules count by now. */
enum sfd_tar_rules sfd_tar_parser_rules(const struct sfd_tar_parser *p);

/* The first entry that both programs take, but not for the same: a sentence with both readings,
 * borrowed. NULL where there is none. */
const char *sfd_tar_parser_difference(const struct sfd_tar_parser *p);

#endif
