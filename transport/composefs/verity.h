/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_VERITY_H
#define SPLITFD_COMPOSEFS_VERITY_H

/*
 * fs-verity digests in user space: no salt, blocks of 4096 bytes, sha256 or sha512. Source of the
 * format: the kernel's Documentation/filesystems/fsverity.rst.
 *
 * A node is one block of hashes: 64 (sha512) or 128 (sha256) of them. A subtree is what one node
 * of the lowest level covers: 256 or 512 KiB of data.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/verity-mb.h"

#define SFD_VERITY_BLOCK 4096

/* Files up to this size have a single node and can be hashed several at once. */
#define SFD_VERITY_SMALL_MAX ((size_t)64 * SFD_VERITY_BLOCK)
#define SFD_VERITY_FILES_MAX 16

/* Both kinds' subtrees fit without a rest. */
#define SFD_VERITY_PIECE ((size_t)128 * SFD_VERITY_BLOCK)

struct sfd_verity_file {
	const uint8_t *data;
	size_t size; /* at most SFD_VERITY_SMALL_MAX */
	struct splitfd_digest digest;
};

/* Room for the nodes of sfd_verity_files; any number of calls, one after the other. */
struct sfd_verity_scratch {
	uint8_t node[SFD_VERITY_FILES_MAX][SFD_VERITY_BLOCK];
	uint8_t tail[SFD_VERITY_FILES_MAX][SFD_VERITY_BLOCK];
	uint8_t root[SFD_VERITY_FILES_MAX][SPLITFD_DIGEST_MAX];
};

/* Sets the digests of n files (at most SFD_VERITY_FILES_MAX). 0 or -EIO. */
int sfd_verity_files(struct sfd_hasher *hasher, struct sfd_verity_scratch *scratch,
	struct sfd_verity_file *files, size_t n);

/* The hashes of the nodes above 1 to SFD_VERITY_PIECE bytes of data, which begin at a multiple of
 * SFD_VERITY_PIECE and are that long unless they are the file's last: at most two (sha512) or one
 * (sha256), one behind the other at `out` (128 bytes). Uses the first two nodes and the first tail
 * of the scratch. Returns their count, or -EIO. */
int sfd_verity_piece(struct sfd_hasher *hasher, struct sfd_verity_scratch *scratch,
	const uint8_t *data, size_t n, uint8_t *out);

/* The tree above the lowest nodes, in the making: for files larger than one subtree. */
struct sfd_verity_tree {
	unsigned int n_levels;
	size_t fill[10];
	uint8_t node[10][SFD_VERITY_BLOCK];
};

void sfd_verity_tree_begin(struct sfd_verity_tree *tree);
/* Adds the hash of the next lowest node. 0, -EIO. */
int sfd_verity_tree_add(
	struct sfd_verity_tree *tree, struct sfd_hasher *hasher, const uint8_t *hash);
/* The digest of the file of `size` bytes. 0, -EIO. */
int sfd_verity_tree_final(struct sfd_verity_tree *tree, struct sfd_hasher *hasher, uint64_t size,
	struct splitfd_digest *ret);

struct sfd_verity; /* the digest of one file in the making; one thread */

/* NULL when memory is short. Can be used for any number of files, one after the other. */
struct sfd_verity *sfd_verity_new(enum splitfd_algorithm algorithm);
/* The same with a hasher of that kind. */
struct sfd_verity *sfd_verity_new_by(enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind);
/* NULL is allowed. Returns NULL. */
struct sfd_verity *sfd_verity_free(struct sfd_verity *v);

/* Starts a file. */
void sfd_verity_begin(struct sfd_verity *v);
/* Content in order, pieces of any length. 0, -EIO. */
int sfd_verity_update(struct sfd_verity *v, const void *data, size_t n);
int sfd_verity_final(struct sfd_verity *v, struct splitfd_digest *ret);

/* The digest of bytes in memory. 0, -ENOMEM, -EIO. */
int sfd_verity_bytes(
	enum splitfd_algorithm algorithm, const void *data, size_t n, struct splitfd_digest *ret);

SFD_DEFINE_CLEANUP(sfd_cleanup_verity_, struct sfd_verity, sfd_verity_free);
#define sfd_cleanup_verity sfd_cleanup(sfd_cleanup_verity_)

#endif
