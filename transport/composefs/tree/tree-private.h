/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_TREE_PRIVATE_H
#define SPLITFD_COMPOSEFS_TREE_PRIVATE_H

/* The inside of struct sfd_tree, for the files that make, change and write trees. */

#include "transport/composefs/tree/arena.h"
#include "transport/composefs/tree/tree.h"

/* The xattrs of one inode: indices into tree->xattrs, sorted by name. */
struct sfd_xattr_set {
	uint32_t n;
	uint32_t ids[];
};

struct sfd_tree_inode {
	int64_t mtime;
	uint64_t size; /* files, symlinks; devices: the device number */
	uint32_t mtime_nsec, mode, uid, gid;
	uint32_t links;	 /* frozen, no directory: names of this inode */
	uint32_t id;	 /* frozen: place in depth-first order, each inode at its first name */
	uint32_t home;	 /* frozen, no directory: the id of the directory of that first name */
	uint32_t object; /* external files: index into tree->objects */
	const struct sfd_xattr_set *xattrs; /* NULL: none */
	union {
		struct sfd_tree_directory *dir; /* directories; see maybe_directory */
		const uint8_t *data;		/* small files, symlinks */
	};
	uint8_t type; /* enum sfd_tree_type */
	bool external;
	/* An empty file that may turn out a directory; `dir` is then the directory that it has
	 * replaced, or NULL. */
	bool maybe_directory;
	uint32_t layer; /* the number of the layer that has put it, or changed it, last */
};

/* A directory entry. */
struct sfd_tree_name {
	struct sfd_tree_inode *inode;
	uint8_t len;
	char text[]; /* no NUL */
};

struct sfd_tree_directory {
	struct sfd_tree_directory *next; /* of all that were ever made */
	struct sfd_tree_inode *parent;	 /* frozen; the root's is the root */
	void *search;			 /* tsearch(3) of struct sfd_tree_name, until frozen */
	struct sfd_tree_name **names;	 /* frozen: sorted bytewise */
	uint32_t n_names, n_directories;
};

/* A distinct name and value. */
struct sfd_tree_xattr_entry {
	const char *name;
	const uint8_t *value;
	uint16_t name_len, value_len;
};

/* Indices by hash, open addressing; 0 is empty, else the index plus one. */
struct sfd_tree_index {
	uint32_t *slots;
	uint32_t n_slots, n_used;
};

/* xattrs that format 0 and 1 add by themselves, by the names they are escaped from. */
enum sfd_tree_marker {
	SFD_MARKER_WHITEOUT,
	SFD_MARKER_USER_WHITEOUT,
	SFD_MARKER_WHITEOUTS,
	SFD_MARKER_USER_WHITEOUTS,
	SFD_MARKER_OPAQUE,
	SFD_MARKER_USER_OPAQUE,
	SFD_N_MARKERS,
};

enum sfd_tree_deviation {
	SFD_DEVIATION_PARENT,
	SFD_DEVIATION_DIRECTORY,
	SFD_DEVIATION_USR,
	SFD_DEVIATION_RUN,
	SFD_DEVIATION_TIME,
	SFD_DEVIATION_OWNER, /* this one cfsctl takes */
};

struct sfd_tree {
	enum splitfd_algorithm algorithm;
	size_t digest_size;
	struct sfd_arena arena;
	struct sfd_tree_inode *root;
	struct sfd_tree_directory *directories;
	/* The directory that the last item was put in, and its path: the next one's is mostly the
	 * same. NULL where it may have changed since. */
	struct sfd_tree_inode *parent;
	uint16_t parent_len;
	char parent_path[256];
	uint64_t n_put, n_implied; /* entries, and directories that none of them was for */
	bool root_known;	   /* a layer had an entry for the root */
	bool frozen;

	uint8_t *objects; /* digests, one after the other */
	uint32_t n_objects, cap_objects;
	struct sfd_tree_index object_index;
	struct sfd_tree_xattr_entry *xattrs;
	uint32_t n_xattrs, cap_xattrs;
	struct sfd_tree_index xattr_index;
	uint32_t markers[SFD_N_MARKERS]; /* indices into xattrs */

	enum sfd_tree_xattrs keep; /* applied when frozen */
	uint32_t n_inodes;	   /* frozen */

	void (*told)(void *ctx, const char *text);
	void *told_ctx;
	const char *layer; /* being applied; NULL: none */
	uint32_t layer_number;
	struct sfd_tree_gone *gone; /* tree-whiteout.c: of this layer */
	/* Whose rules count, as for a tar's entries (tar-entry.h). */
	enum sfd_tar_rules rules;
	bool refused; /* by cfsctl, whose rules count */
	bool differs;
	char difference[512];
	unsigned int tolds; /* bits of enum sfd_tree_deviation */
};

static inline const uint8_t *sfd_tree_digest(const struct sfd_tree *tree, uint32_t object)
{
	return tree->objects + (size_t)object * tree->digest_size;
}

/* tree-intern.c: the index of an object or xattr, added where it is new. -ENOMEM, -EOVERFLOW. */
int sfd_tree_intern_object(struct sfd_tree *tree, const uint8_t *digest, uint32_t *ret);
int sfd_tree_intern_xattr(struct sfd_tree *tree, const struct sfd_tree_xattr *xattr, uint32_t *ret);
/* The set of an item's xattrs; *ret is NULL where there are none. */
int sfd_tree_intern_xattrs(struct sfd_tree *tree, const struct sfd_tree_xattr *xattrs, size_t n,
	const struct sfd_xattr_set **ret);
void sfd_tree_index_done(struct sfd_tree_index *index);
/* Whether an image keeps the xattr of that name. */
bool sfd_tree_xattr_kept(enum sfd_tree_xattrs mode, const char *name, size_t len);

/* tree-names.c */
struct sfd_tree_inode *sfd_tree_new_inode(struct sfd_tree *tree, enum sfd_tree_type type);
struct sfd_tree_inode *sfd_tree_new_directory_inode(struct sfd_tree *tree);
struct sfd_tree_directory *sfd_tree_new_directory(struct sfd_tree *tree);

/* Names in a directory that is not frozen. `len` is 1 to 255. */
struct sfd_tree_inode *sfd_tree_lookup(
	const struct sfd_tree_directory *dir, const char *name, size_t len);
/* Names `inode`; a name that was there names it from now on. -ENOMEM. */
int sfd_tree_set_name(struct sfd_tree *tree, struct sfd_tree_directory *dir, const char *name,
	size_t len, struct sfd_tree_inode *inode);
void sfd_tree_remove(struct sfd_tree_directory *dir, const char *name, size_t len);
void sfd_tree_clear(struct sfd_tree_directory *dir);
void sfd_tree_tell(struct sfd_tree *tree, enum sfd_tree_deviation kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put by the layer that is being applied. */
static inline bool sfd_tree_is_own(const struct sfd_tree *tree, const struct sfd_tree_inode *inode)
{
	return tree->layer_number != 0 && inode->layer == tree->layer_number;
}

/* Both programs take the layer from here on for something else: podman's rules count. */
void sfd_tree_differ(struct sfd_tree *tree, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* cfsctl refuses the layer. */
void sfd_tree_cfsctl_refuses(struct sfd_tree *tree);

/* tree-whiteout.c: applies the whiteout `name` in a directory. -ENOMEM. */
int sfd_tree_whiteout(struct sfd_tree *tree, struct sfd_tree_inode *parent,
	const struct sfd_tree_item *item, const char *name, size_t len);
/* The directory that this name had before a whiteout of the same layer, where it has to come back;
 * else NULL. */
struct sfd_tree_inode *sfd_tree_back_again(struct sfd_tree *tree,
	const struct sfd_tree_inode *parent, const struct sfd_tree_item *item, const char *name,
	size_t len);

/* tree-walk.c: an empty file whose name ended in '/' is a directory after all; told as a deviation
 * with the path. -ENOMEM. */
int sfd_tree_become_directory(
	struct sfd_tree *tree, struct sfd_tree_inode *inode, const char *path, size_t len);

/* tree-loop.c: whether a hard link whose target is not there leads into a loop of hard links of its
 * own layer. Reads the layer once for each link of it. */
bool sfd_tree_is_link_loop(const struct sfd_tree_layer *layer, const struct sfd_tree_item *item);

/* The type as the upper bits of st_mode have it. */
uint32_t sfd_tree_file_type(enum sfd_tree_type type);

/* So much of a path goes into an error's text; for "%.*s". */
static inline int sfd_shown_length(size_t len)
{
	return (int)(len < 512 ? len : 512);
}

#endif
