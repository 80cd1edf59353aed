/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_H
#define SPLITFD_COMPOSEFS_TREE_H

/*
 * The file tree of an image: names, inodes, hard links. It is made from layers (tree-layer.h) or
 * entry by entry, gets the rules for OCI images, and is then written as EROFS (erofs-writer.h) or
 * as a dumpfile (dumpfile.h).
 *
 * The rules are those of cfsctl 0.9.4, so that the same layers give the same tree. What cfsctl
 * refuses and is still well defined is done, and told through the deviation callback; the rest is
 * an error that names layer and path; -EOPNOTSUPP where the layers are in order but no image can
 * follow cfsctl's rules (a hard link to what is not there, a sparse or unknown tar entry, ".." or a
 * symlink in a path, a whiteout with two names): such an image can be stored without a mountable
 * one. contrib/man/splitfd-pull.1.md, "IMAGES", lists each case.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/repository.h"
#include "transport/tar/tar-entry.h"

enum sfd_tree_type {
	SFD_TREE_DIRECTORY,
	SFD_TREE_FILE,
	SFD_TREE_SYMLINK,
	SFD_TREE_CHARACTER,
	SFD_TREE_BLOCK,
	SFD_TREE_FIFO,
	SFD_TREE_SOCKET,
	SFD_TREE_HARDLINK, /* in struct sfd_tree_item only */
};

/* Content up to this size may be inline. Layers have 64 at most; dumpfiles have more. */
#define SFD_TREE_INLINE_MAX 512

struct sfd_tree_xattr {
	const char *name;
	const uint8_t *value;
	uint16_t name_len, value_len;
};

/* One entry to be put into a tree. Everything is borrowed for the call. */
struct sfd_tree_item {
	enum sfd_tree_type type;
	/* A regular file by its header, but the name ended in '/' as directories of old archives
	 * do: becomes a directory as soon as something is put below it. */
	bool maybe_directory;
	const char *path; /* with or without '/' in front; "." and "//" are dropped */
	size_t path_len;
	uint32_t mode; /* permission bits count; others are kept for the dumpfile only */
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	bool owner_cut;	    /* uid or gid have more bits in the tar */
	bool before_1970;   /* in a way that cfsctl refuses: told as a deviation */
	uint64_t size;	    /* files */
	uint64_t rdev;	    /* devices, as makedev(3) has it */
	const char *target; /* symlink: its text; hard link: the path it shares the inode with */
	size_t target_len;
	const uint8_t *digest; /* files: the object; NULL: the content is `data` */
	const uint8_t *data;
	const struct sfd_tree_xattr *xattrs; /* of a name that comes twice the last counts */
	size_t n_xattrs;
};

struct sfd_tree;
struct sfd_tree_layer;

int sfd_tree_new(
	enum splitfd_algorithm algorithm, struct sfd_tree **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_tree *sfd_tree_free(struct sfd_tree *tree);

/* `told` is called for what cfsctl would have refused, at most once for each kind and layer; the
 * text is one sentence without a full stop. */
void sfd_tree_on_deviation(
	struct sfd_tree *tree, void (*told)(void *ctx, const char *text), void *ctx);

/* Before the first layer: whose rules count where podman and cfsctl make different trees. Of both
 * (at the start): as long as they agree; then sfd_tree_finish_oci is -EOPNOTSUPP, with both
 * readings.
 */
void sfd_tree_set_rules(struct sfd_tree *tree, enum sfd_tar_rules rules);
/* By cfsctl's rules: it would have refused the tree. */
bool sfd_tree_refused(const struct sfd_tree *tree);

/* Puts one entry: a directory over a directory changes its metadata, everything else replaces what
 * was there. Names have no meaning (no whiteouts). -EINVAL (kind REFUSED) with a text that names
 * the path. */
int sfd_tree_put(
	struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err);

/* The same with the whiteouts of OCI layers: ".wh.NAME" removes NAME, ".wh..wh..opq" empties its
 * directory, also of what the same layer has put there before, as cfsctl does. */
int sfd_tree_put_layered(
	struct sfd_tree *tree, const struct sfd_tree_item *item, struct splitfd_error *err);

/* Applies a finished layer. Layers are applied in the order of the image's diff_ids; one layer may
 * be applied more than once. The layer can be freed afterwards. After an error the tree is good for
 * sfd_tree_free only. */
int sfd_tree_apply(
	struct sfd_tree *tree, const struct sfd_tree_layer *layer, struct splitfd_error *err);

/* Which xattrs an OCI image keeps. */
enum sfd_tree_xattrs {
	SFD_TREE_XATTRS_ALLOWLIST = 0, /* security.capability; cfsctl's default */
	SFD_TREE_XATTRS_USER,	       /* and user.* ("keep-user-xattrs") */
	SFD_TREE_XATTRS_ALL,	       /* no filter; no OCI image has this */
};

/* The rules of OCI images: the root gets the metadata of /usr, /run is emptied and gets the time of
 * /usr, xattrs are filtered. Then the tree is frozen, see below. */
int sfd_tree_finish_oci(
	struct sfd_tree *tree, enum sfd_tree_xattrs xattrs, struct splitfd_error *err);

/* Ends the making of the tree: counts links, sorts names, checks what no image may have (names that
 * are too long, hard-linked whiteouts). From now on it can be written, from several threads at
 * once, and not be changed. */
int sfd_tree_freeze(struct sfd_tree *tree, struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_tree_, struct sfd_tree, sfd_tree_free);
#define sfd_cleanup_tree sfd_cleanup(sfd_cleanup_tree_)

#endif
