/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_LAYER_CHANNEL_H
#define SPLITFD_SHIM_LAYER_CHANNEL_H

/*
 * The wire end of get-layer and import-layer: a format, standard output or input, and perhaps the
 * socket for the descriptors that was passed along.
 */

#include "shim/common/options.h"
#include "splitfdstream/reconstruct.h"
#include "splitfdstream/wire.h"

enum sfd_channel_kind {
	SFD_CHANNEL_WIRE, /* one of splitfdstream/wire-formats.h */
	SFD_CHANNEL_TAR,
	SFD_CHANNEL_SPLITSTREAM, /* objects by digest, in an objects directory both have */
};

struct sfd_channel_options {
	const char *format; /* NULL: splitfdstream */
	long fds;	    /* the inherited socket's number; -1: none */
	long timeout;	    /* seconds of silence that are an error; 0: wait for ever */
	/* Producer only. */
	long inline_max;
	bool reads_all;
	bool verify; /* a tar's file contents by CRC-64 */
	/* Consumer only: opens the files that the other end names; borrowed, or NULL. */
	struct sfd_peer_opener *opener;
};

int sfd_channel_kind(
	const struct sfd_channel_options *o, enum sfd_channel_kind *ret, struct splitfd_error *err);

/* Standard output, with descriptors over --fds or attached where it is a Unix socket. `frames`:
 * everything goes in frames of a u32 length and as many bytes. May be called again for the next
 * stream. *ret is the caller's. */
int sfd_channel_output(const struct sfd_channel_options *o, bool frames,
	struct splitfd_output **ret, struct splitfd_error *err);

/* Writes to `ctx`, a struct splitfd_output. */
splitfd_bytes_fn sfd_output_bytes;

/* The writer of a format other than splitstream on an output, which it takes. */
int sfd_channel_writer(const struct sfd_channel_options *o, struct splitfd_output *output,
	struct splitfd_sink **ret, struct splitfd_error *err);

/* A tar straight to standard output, without frames; file contents stay in the kernel where nothing
 * is to be verified. */
int sfd_channel_tar(
	const struct sfd_channel_options *o, struct splitfd_sink **ret, struct splitfd_error *err);

/* Standard input as a source of chunks as the tar rules cut them. `spool_dir` (borrowed) is for
 * unnamed files. Not for splitstream. */
int sfd_channel_source(const struct sfd_channel_options *o, int spool_dir,
	struct splitfd_source **ret, struct splitfd_error *err);

#endif
