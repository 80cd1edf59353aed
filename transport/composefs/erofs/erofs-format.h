/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_EROFS_FORMAT_H
#define SPLITFD_COMPOSEFS_EROFS_FORMAT_H

/*
 * The numbers of EROFS that composefs uses. Sources: the kernel's
 * Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h; the composefs header as cfsctl 0.9.4
 * and mkcomposefs write it. All integers are little-endian.
 */

#include <stddef.h>
#include <stdint.h>

#define SFD_EROFS_BLOCK	     4096u
#define SFD_EROFS_SLOT	     32u   /* inodes start at multiples; a nid is the offset in slots */
#define SFD_EROFS_HEADER     1024u /* composefs header, then zeros */
#define SFD_EROFS_SUPERBLOCK 128u
#define SFD_EROFS_INODES     (SFD_EROFS_HEADER + SFD_EROFS_SUPERBLOCK)

#define SFD_COMPOSEFS_MAGIC   0xd078629au
#define SFD_COMPOSEFS_HAS_ACL 1u
#define SFD_EROFS_MAGIC	      0xe0f5e1e2u
#define SFD_EROFS_COMPAT      6u /* mtime, xattr filter */

/* i_format: bit 0 is set for an extended inode, then the data layout. */
#define SFD_EROFS_EXTENDED	1u
#define SFD_EROFS_LAYOUT	14u /* the bits of it */
#define SFD_EROFS_FLAT_PLAIN	0u
#define SFD_EROFS_FLAT_INLINE	4u
#define SFD_EROFS_CHUNK_BASED	8u
#define SFD_EROFS_COMPACT_SIZE	32u
#define SFD_EROFS_EXTENDED_SIZE 64u

#define SFD_EROFS_CHUNK_BITS_MAX 31u /* over the block's bits */

#define SFD_EROFS_DIRENT       12u
#define SFD_EROFS_XATTR_HEADER 12u /* of an inode's xattrs */
#define SFD_EROFS_XATTR_ENTRY  4u  /* in front of each name and value */
#define SFD_EROFS_FILTER_SEED  0x25bbe08fu

static inline void sfd_put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)v;
	to[1] = (uint8_t)(v >> 8);
}

static inline void sfd_put32(uint8_t *to, uint32_t v)
{
	sfd_put16(to, v);
	sfd_put16(to + 2, v >> 16);
}

static inline void sfd_put64(uint8_t *to, uint64_t v)
{
	sfd_put32(to, (uint32_t)v);
	sfd_put32(to + 4, (uint32_t)(v >> 32));
}

/* Up to the next multiple of a power of two. */
static inline uint64_t sfd_round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

#endif
