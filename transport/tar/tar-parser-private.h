/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_PARSER_PRIVATE_H
#define SPLITFD_TAR_PARSER_PRIVATE_H

/* The inside of struct sfd_tar_parser, for tar-parser.c and tar-extension.c. */

#include "splitfdstream/base/buffer.h"
#include "transport/tar/tar-header.h"
#include "transport/tar/tar-reading.h"

#define SFD_TAR_METADATA_MAX (1024 * 1024) /* of one entry, and of one global header */

enum sfd_tar_state {
	AT_HEADER,   /* collecting a header block */
	AT_METADATA, /* collecting the body of 'x', 'g', 'L' or 'K' */
	AT_MAP,	     /* collecting a block of an old sparse file's map */
	AT_SMALL,    /* collecting the content of a small file */
	AT_OBJECT,   /* the content of a large file must come as an object */
	AT_SKIP,     /* skipping padding, or the content of what is no file */
	AT_END,	     /* after the two zero blocks: anything goes */
};

struct sfd_tar_parser {
	int (*entry)(void *ctx, const struct sfd_tar_entry *e, struct splitfd_error *err);
	void *ctx;
	enum sfd_tar_state state;
	uint64_t offset;  /* of the next byte of the tar, contents counted */
	uint64_t skip;	  /* AT_SKIP: bytes to go */
	uint64_t padding; /* the last of them that are padding */
	bool zero_seen;	  /* the block before was zero */
	enum sfd_tar_rules rules;
	bool differs;
	/* The difference is content that only cfsctl sees after the entry before, so many bytes
	 * with its padding: where what comes is no header, cfsctl is right. */
	uint64_t undo;
	char difference[512];

	/* The header in the making, then of the entry at hand; a block of a map. */
	uint8_t block[SFD_TAR_BLOCK], map[SFD_TAR_BLOCK];
	size_t n_block;
	struct sfd_buffer body; /* AT_METADATA: what has come */
	size_t body_size;
	char body_type;

	struct sfd_tar_pending pending; /* what the headers before said */
	unsigned int n_pending;
	uint64_t n_metadata;

	struct sfd_tar_view podman, cfsctl;
	struct sfd_tar_entry *e; /* of one of them: the entry at hand */
	bool has_path;		 /* e->path is known and the entry not yet told */
	char last[256]; /* the beginning of the path of the entry before, for error texts */
	size_t n_last;
	uint8_t small[SFD_TAR_INLINE_MAX];
	size_t n_small;
};

/* One of the programs refuses what comes now: from here on the other's rules count, unless it has
 * been left before, which is -EINVAL. */
int sfd_tar_cfsctl_refuses(struct sfd_tar_parser *p, const char *why, struct splitfd_error *err);
int sfd_tar_podman_refuses(struct sfd_tar_parser *p, const char *why, struct splitfd_error *err);

/* `size` with its padding; -EFBIG. */
int sfd_tar_padded_size(uint64_t size, uint64_t *ret, struct splitfd_error *err);

static inline size_t sfd_tar_min(size_t a, uint64_t b)
{
	return b < a ? (size_t)b : a;
}

/* tar-extension.c: the header of 'x', 'g', 'L', 'K', whose body comes next; the body is there. */
int sfd_tar_extension_start(
	struct sfd_tar_parser *p, const struct sfd_tar_header *h, struct splitfd_error *err);
int sfd_tar_extension_end(struct sfd_tar_parser *p, struct splitfd_error *err);
void sfd_tar_extensions_forget(struct sfd_tar_parser *p);

static inline bool sfd_tar_extensions_pending(const struct sfd_tar_parser *p)
{
	return p->pending.have_pax || p->pending.have_name || p->pending.have_link;
}

#endif
