/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SPLITSTREAM_FORMAT_H
#define SPLITFD_COMPOSEFS_SPLITSTREAM_FORMAT_H

/*
 * The bytes of a splitstream file, for its writer and reader. Source of the format: composefs-rs
 * 0.9.4 as observed. Little-endian; a range is a pair of absolute offsets, start and end.
 *
 *	 0  magic (11), version 0, flags (2), algorithm, log2 of the block size, range of the info
 *	32  info: ranges of the stream references, object references, stream, named references;
 *	    content type (8); size of the whole stream (8)
 *	    raw digests of the streams, raw digests of the objects,
 *	    named references (zstd): "INDEX:NAME" and a NUL each, sorted by name,
 *	    stream (zstd): chunks. i64 -n: n inline bytes follow; k >= 0: all of object number k
 */

#define SFD_SPLITSTREAM_MAGIC	    "SplitStream"
#define SFD_SPLITSTREAM_MAGIC_SIZE  11
#define SFD_SPLITSTREAM_HEADER_SIZE 32
#define SFD_SPLITSTREAM_INFO_SIZE   80
#define SFD_SPLITSTREAM_LG_BLOCK    12

/* Places in the header, and those that old releases (bootc up to 1.15) wrote. */
#define SFD_HEADER_VERSION     11
#define SFD_HEADER_ALGORITHM   14
#define SFD_HEADER_LG_BLOCK    15
#define SFD_HEADER_INFO	       16
#define SFD_OLD_HEADER_MAGIC   18
#define SFD_OLD_HEADER_VERSION 29
#define SFD_OLD_HEADER_ALG     30
#define SFD_OLD_HEADER_LG      31

/* Places in the info. */
#define SFD_INFO_STREAM_REFS 0
#define SFD_INFO_OBJECT_REFS 16
#define SFD_INFO_STREAM	     32
#define SFD_INFO_NAMED_REFS  48
#define SFD_INFO_TYPE	     64
#define SFD_INFO_SIZE	     72

#endif
