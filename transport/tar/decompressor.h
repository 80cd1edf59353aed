/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TAR_DECOMPRESSOR_H
#define SPLITFD_TAR_DECOMPRESSOR_H

/*
 * zstd, xz and bzip2 as one run of plain bytes: one or more streams, each complete and with a right
 * checksum, nothing but what the format allows between and after them.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is not consumed yet, and where there is room. A codec advances both. */
struct sfd_codec_buffers {
	uint8_t *in, *out;
	size_t in_len, out_len;
	bool last; /* nothing follows `in` */
};

/* A format, over the library that reads it. */
struct sfd_codec {
	const char *name;
	bool (*matches)(const uint8_t *at, size_t n);
	int (*open)(void **ret, struct splitfd_error *err);
	/* 1 where the input may end here, 0 where more must follow. -errno: out of memory, or
	 * REFUSED with why in one or more words. */
	int (*run)(void *state, struct sfd_codec_buffers *b, struct splitfd_error *err);
	void (*free)(void *state);
};

extern const struct sfd_codec sfd_codec_zstd, sfd_codec_xz, sfd_codec_bzip2;

/* How many first bytes sfd_codec_find() looks at. */
#define SFD_CODEC_MAGIC 6

/* The codec of data that begins so; NULL where it is none of them. */
const struct sfd_codec *sfd_codec_find(const uint8_t *at, size_t n);

/* Where compressed bytes come from: up to n bytes, 0 at the end, -errno with a text. */
typedef ssize_t sfd_decompressor_input(
	void *ctx, void *buffer, size_t n, struct splitfd_error *err);

struct sfd_decompressor;

/* -ENOTSUP where the library is missing. *ret is the caller's. */
int sfd_decompressor_new(const struct sfd_codec *codec, sfd_decompressor_input *input, void *ctx,
	struct sfd_decompressor **ret, struct splitfd_error *err);

/* Up to n bytes; 0 at the end. Damage is -EBADMSG with kind REFUSED and names the byte offset. */
ssize_t sfd_decompress(
	struct sfd_decompressor *d, void *buffer, size_t n, struct splitfd_error *err);

/* NULL is allowed. Returns NULL. */
struct sfd_decompressor *sfd_decompressor_free(struct sfd_decompressor *d);

/* A function of a library, and where its address goes. */
struct sfd_library_function {
	const char *name;
	void *function;
};

/* Opens a library at run time, or finds it open; it stays in the process. Several threads may call
 * this. `sonames` are tried in turn, up to NULL. -ENOTSUP with a text that names the library. */
int sfd_codec_library(const char *format, const char *const *sonames,
	const struct sfd_library_function *functions, size_t n, struct splitfd_error *err);

#endif
