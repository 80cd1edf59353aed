/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_REPOSITORY_META_H
#define SPLITFD_COMPOSEFS_REPOSITORY_META_H

/* meta.json: what it says, and how cfsctl writes it. */

#include "splitfdstream/base/error.h"
#include "transport/composefs/object-digest.h"

#include <stdbool.h>
#include <stddef.h>

#define SFD_META_NAME "meta.json"
#define SFD_META_MAX  ((size_t)1024 * 1024)

struct sfd_meta {
	enum splitfd_algorithm algorithm;
	int erofs_default;  /* 0, 1 or 2 */
	int erofs_extra[3]; /* further formats, each once, without the default */
	size_t n_erofs_extra;
	char read_only_feature[64]; /* an unknown read-only-compatible one; "" where there is none
				     */
};

/* Reads the text of a meta.json, n bytes with a NUL behind them. REFUSED for a newer version, an
 * unknown incompatible feature or algorithm, and for what is no such file. */
int sfd_meta_parse(const char *text, size_t n, struct sfd_meta *ret, struct splitfd_error *err);

/* The meta.json below `dir` is a regular file that a power cut has spoilt: without a byte, or one
 * whose fs-verity data is lost, so that the kernel does not open it. */
bool sfd_meta_is_lost(int dir);

/* The text that cfsctl writes for these settings (no extra formats); the length without NUL. */
#define SFD_META_TEXT_SIZE 512
size_t sfd_meta_format(const struct sfd_meta *meta, char text[SFD_META_TEXT_SIZE]);

#endif
