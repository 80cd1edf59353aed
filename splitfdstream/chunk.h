/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_CHUNK_H
#define SPLITFD_CHUNK_H

/*
 * The heart of splitfd: a tar stream in chunks.
 *
 * A chunk is either inline bytes, or one whole file of a declared length: a descriptor, or a name
 * that a set of files can open. The concatenation of all chunks is the stream, byte for byte.
 * A chunk source gives chunks, a chunk sink takes them. Every producer is a source, every consumer
 * a sink; a wire format is one reader (a source) and one writer (a sink).
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Inline bytes of one chunk are never more than this (both wire formats' own limit). */
#define SPLITFD_INLINE_MAX ((size_t)256 * 1024 * 1024)

/* The longest name of a file in a chunk, in bytes, without its NUL. */
#define SPLITFD_NAME_MAX 4096

/*
 * The files of a layer: names to descriptors. Shared by reference count, so that a sink can open a
 * file in another thread after the source has moved on.
 */
struct splitfd_files;

struct splitfd_files_ops {
	/* Opens the regular file `name` (NUL-terminated) that must have exactly `size` bytes.
	 * Called by several threads at once. Gives the descriptor (O_RDONLY, CLOEXEC, checked to
	 * be a regular file of that size) to the caller. *ret_dir, if ret_dir is not NULL, is the
	 * index into `dirs` below which `name` can be opened by openat2 with RESOLVE_BENEATH and
	 * RESOLVE_NO_SYMLINKS and gives the same file, or -1 where there is none. */
	int (*open)(struct splitfd_files *files, const char *name, uint64_t size, int *ret_fd,
		int *ret_dir, struct splitfd_error *err);
	/* Called when the last reference is gone. */
	void (*free)(struct splitfd_files *files);
	/* See splitfd_files_removed(). NULL where nobody can know. */
	bool (*removed)(struct splitfd_files *files);
};

struct splitfd_files {
	const struct splitfd_files_ops *ops;
	unsigned int refs; /* atomic; 1 at the start */
	const int *dirs;   /* directory descriptors, owned by the object */
	size_t n_dirs;
};

/* One more reference, by any thread. Returns `files`. */
struct splitfd_files *splitfd_files_ref(struct splitfd_files *files);
/* One less, by any thread. NULL is allowed. Returns NULL. */
struct splitfd_files *splitfd_files_unref(struct splitfd_files *files);

/* True where the layer was removed, or is being removed, since its files were opened: the reason
 * why one of them is gone or is not what it was. May take a second. NULL is allowed. */
bool splitfd_files_removed(struct splitfd_files *files);

enum splitfd_chunk_kind {
	SPLITFD_CHUNK_INLINE = 0,
	SPLITFD_CHUNK_FILE = 1,
};

struct splitfd_chunk {
	enum splitfd_chunk_kind kind;

	/* INLINE: `data_len` bytes (1 to SPLITFD_INLINE_MAX), borrowed: valid until the source's
	 * next call. `is_content`: they are exactly the content of one file; else they are tar
	 * headers, padding, end blocks, or not known to be a file's content. */
	const uint8_t *data;
	size_t data_len;
	bool is_content;

	/* FILE: the file's whole content, `size` bytes. Either `fd` is an open descriptor that the
	 * receiver owns from now on, or it is negative and `files` (borrowed: take a reference to
	 * keep it) opens `name` (borrowed until the source's next call). Both may be set with an
	 * open `fd` too: `name` then serves for error texts, and where `files` is there, it
	 * would open the same file. */
	uint64_t size;
	int fd;
	struct splitfd_files *files;
	const char *name; /* NUL-terminated, `name_len` bytes without the NUL; or NULL */
	size_t name_len;

	/* FILE: what the content must have, where the source knows it: CRC-64 as tar-split uses it
	 * (ISO polynomial, reflected, all ones in and out). Who reads the content checks it. */
	bool has_crc64;
	uint64_t crc64;
};

/* Opens a FILE chunk's content, or gives its open descriptor, after checking that it is a regular
 * file, open for reading, with exactly chunk->size bytes; REFUSED where it is not. *ret_fd is the
 * caller's. The chunk's own descriptor is always taken: chunk->fd is -EBADF afterwards. ret_dir as
 * in splitfd_files_ops.open (-1 for a chunk that came open); may be NULL. */
int splitfd_chunk_open(
	struct splitfd_chunk *chunk, int *ret_fd, int *ret_dir, struct splitfd_error *err);

/* Closes the descriptor that a chunk still owns, if any. */
void splitfd_chunk_clear(struct splitfd_chunk *chunk);

struct splitfd_source;

struct splitfd_source_ops {
	/* 1: *ret is the next chunk. 0: the stream is complete and everything that the source can
	 * check was right. -errno: it is not; every further call gives the same error. */
	int (*next)(struct splitfd_source *source, struct splitfd_chunk *ret,
		struct splitfd_error *err);
	void (*free)(struct splitfd_source *source);
	/* See splitfd_source_files(). NULL where there is no such set. */
	struct splitfd_files *(*files)(struct splitfd_source *source);
};

struct splitfd_source {
	const struct splitfd_source_ops *ops;
};

/* See splitfd_source_ops.next. */
int splitfd_source_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err);
/* The set of files that the FILE chunks will name, for a consumer that wants its directories before
 * the first chunk; borrowed. NULL where the source has none or does not know it yet. */
struct splitfd_files *splitfd_source_files(struct splitfd_source *source);
/* NULL is allowed. Returns NULL. */
struct splitfd_source *splitfd_source_free(struct splitfd_source *source);

struct splitfd_sink;

struct splitfd_sink_ops {
	/* Takes one chunk; always takes its descriptor, also when it fails. */
	int (*put)(
		struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err);
	/* The stream is complete. Only now may anything become visible. After an error of put,
	 * finish fails with the same error. */
	int (*finish)(struct splitfd_sink *sink, struct splitfd_error *err);
	/* Drops what was not finished. */
	void (*free)(struct splitfd_sink *sink);
};

struct splitfd_sink {
	const struct splitfd_sink_ops *ops;
};

/* See splitfd_sink_ops. */
int splitfd_sink_put(
	struct splitfd_sink *sink, struct splitfd_chunk *chunk, struct splitfd_error *err);
int splitfd_sink_finish(struct splitfd_sink *sink, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct splitfd_sink *splitfd_sink_free(struct splitfd_sink *sink);

/* All chunks of the source into the sink; the sink is not finished. 0, or the first error of
 * either. *cancel, if cancel is not NULL, is looked at before each chunk: not 0 ends the pump with
 * -ECANCELED. */
int splitfd_pump(struct splitfd_source *source, struct splitfd_sink *sink,
	const volatile int *cancel, struct splitfd_error *err);

#ifdef __cplusplus
}
#endif

#endif
