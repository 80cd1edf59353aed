/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_SPLITSTREAM_H
#define SPLITFD_COMPOSEFS_SPLITSTREAM_H

/*
 * splitstream files: header, references, zstd-compressed chunks. Source of the format: composefs-rs
 * 0.9.4, as observed; what is written is byte for byte what it writes where libzstd is 1.5.7.
 */

#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/object-store.h"
#include "transport/composefs/object-table.h"
#include "transport/composefs/stream/stream-events.h"

#define SFD_STREAM_LAYER    "ocilayer"
#define SFD_STREAM_CONFIG   "ociconfg"
#define SFD_STREAM_MANIFEST "ocimanif"
#define SFD_STREAM_BLOB	    "oci_blob" /* a layer of an artifact */

struct sfd_splitstream_writer;

/* The largest compressed stream that a writer makes; beyond it, it fails with EFBIG. */
#define SFD_SPLITSTREAM_MAX ((size_t)2 * 1024 * 1024 * 1024)

/* `content_type` is 8 characters. What is too much for memory is kept in files without a name below
 * the directory `spool_dir` (borrowed for the writer's life; -EBADF: in memory all the same). */
int sfd_splitstream_writer_new(enum splitfd_algorithm algorithm, const char *content_type,
	int spool_dir, struct sfd_splitstream_writer **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_splitstream_writer *sfd_splitstream_writer_free(struct sfd_splitstream_writer *w);

/* Before the first object: its objects are told to `table`, which is borrowed and may be shared
 * with others, so that their digests are in memory once. Without it, the writer has one of its own.
 */
void sfd_splitstream_writer_share(struct sfd_splitstream_writer *w, struct sfd_object_table *table);

/* Inline bytes. All that comes between two objects is one chunk of the format, with its length in
 * front, so a run is gathered: in memory up to a few MiB, the rest below spool_dir. After an error
 * every further call fails. */
int sfd_splitstream_inline(
	struct sfd_splitstream_writer *w, const void *data, size_t n, struct splitfd_error *err);
/* An object of `size` bytes. Memory grows with distinct objects only: 16 bytes for each, beside the
 * table; the compressed stream goes below spool_dir beyond 1 MiB. */
int sfd_splitstream_object(struct sfd_splitstream_writer *w, const struct splitfd_digest *digest,
	uint64_t size, struct splitfd_error *err);
/* A named reference to another stream, in the order added; the same digest under two names shares
 * its entry; the same name and digest twice is one; the same name with another digest is EEXIST. */
int sfd_splitstream_ref(struct sfd_splitstream_writer *w, const char *name,
	const struct splitfd_digest *digest, struct splitfd_error *err);
/* The finished file, piece by piece, each borrowed for the call; 0, or -errno with a text. The
 * writer can only be freed then. */
typedef int sfd_splitstream_output(
	void *ctx, const uint8_t *data, size_t n, struct splitfd_error *err);
int sfd_splitstream_finish_to(struct sfd_splitstream_writer *w, sfd_splitstream_output *output,
	void *ctx, struct splitfd_error *err);
/* The same in memory (malloc'd, the caller's). */
int sfd_splitstream_finish(struct sfd_splitstream_writer *w, char **ret_data, size_t *ret_size,
	struct splitfd_error *err);

struct sfd_splitstream; /* a reader */

struct sfd_splitstream_ref {
	char *name;
	struct splitfd_digest digest;
};

/* Opens a stream object. `content_type` NULL takes any. Header, ranges and references are checked;
 * everything in it is hostile. Also reads the header order of old releases. */
int sfd_splitstream_open(struct splitfd_repository *repository, const struct splitfd_digest *digest,
	const char *content_type, struct sfd_splitstream **ret, struct splitfd_error *err);
/* The same of a regular file that is open for reading; always takes fd. `repository` only serves to
 * look up objects and may be NULL. `what` names the stream in error texts. */
int sfd_splitstream_open_fd(int fd, enum splitfd_algorithm algorithm,
	struct splitfd_repository *repository, const char *content_type, const char *what,
	struct sfd_splitstream **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_splitstream *sfd_splitstream_free(struct sfd_splitstream *s);

const char *sfd_splitstream_content_type(const struct sfd_splitstream *s);
uint64_t sfd_splitstream_size(const struct sfd_splitstream *s); /* as the header says */
size_t sfd_splitstream_n_objects(const struct sfd_splitstream *s);
/* Digest number i; -errno where it cannot be read (any more). */
int sfd_splitstream_object_ref(
	struct sfd_splitstream *s, size_t i, struct splitfd_digest *ret, struct splitfd_error *err);
/* In the order in which they are in the file; the array is NULL where there are none. */
const struct sfd_splitstream_ref *sfd_splitstream_refs(
	const struct sfd_splitstream *s, size_t *ret_n);
/* The digest of the reference `name`; false where there is none. */
bool sfd_splitstream_find_ref(
	const struct sfd_splitstream *s, const char *name, struct splitfd_digest *ret);

/* A part of the stream: inline bytes, or (len 0) all of object number `object`. */
struct sfd_splitstream_part {
	const uint8_t *data; /* borrowed until the next call */
	size_t len;
	size_t object;
};

/* 1: the next part; 0: the stream is complete; -errno: it is malformed, and every further call says
 * so too. A chunk's bytes come in pieces of any size. */
int sfd_splitstream_next(
	struct sfd_splitstream *s, struct sfd_splitstream_part *ret, struct splitfd_error *err);
/* The next call of sfd_splitstream_next starts from the first chunk again. */
void sfd_splitstream_rewind(struct sfd_splitstream *s);

/* Tells the chunks from first to last. Sizes of objects are looked up when `with_sizes`. */
int sfd_splitstream_tell(struct sfd_splitstream *s, bool with_sizes,
	const struct sfd_stream_listener *listener, struct splitfd_error *err);

/* A stored layer as a chunk source: inline bytes, FILE chunks with open objects. */
int sfd_splitstream_source_new(struct splitfd_repository *repository,
	const struct splitfd_digest *digest, struct splitfd_source **ret,
	struct splitfd_error *err);

SFD_DEFINE_CLEANUP(sfd_cleanup_splitstream_, struct sfd_splitstream, sfd_splitstream_free);
#define sfd_cleanup_splitstream sfd_cleanup(sfd_cleanup_splitstream_)

SFD_DEFINE_CLEANUP(sfd_cleanup_splitstream_writer_, struct sfd_splitstream_writer,
	sfd_splitstream_writer_free);
#define sfd_cleanup_splitstream_writer sfd_cleanup(sfd_cleanup_splitstream_writer_)

#endif
