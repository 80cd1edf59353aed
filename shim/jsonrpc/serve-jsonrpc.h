/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_SERVE_JSONRPC_H
#define SPLITFD_SHIM_SERVE_JSONRPC_H

/*
 * The JSON-RPC dialect that container-libs' storage library has been proposed to serve:
 *
 *	GetImage {imageId}		manifest and config as stored, and the IDs of the storage's
 *					layers, the top first
 *	GetSplitFDStream {layerId}	a file with the layer's splitfdstream, and behind it the
 *					files that this refers to, all as descriptors of one answer
 *
 * serve-jsonrpc.c has the connection and the methods' words, serve-jsonrpc-layer.c the second
 * method's work.
 */

#include "shim/serve/serve.h"
#include "transport/rpc/jsonrpc.h"

extern const struct sfd_serve_protocol sfd_protocol_jsonrpc;

/* A layer's stream, made and counted, before its files are sent. */
struct sfd_jsonrpc_layer {
	int stream; /* a regular file, open for reading only */
	uint64_t size;
	uint64_t n_files; /* that the stream refers to */
};

/* Starts as { .stream = -EBADF }. */
void sfd_jsonrpc_layer_done(struct sfd_jsonrpc_layer *layer);

/* Writes the stream of a source into a file without a name, below TMPDIR or /var/tmp, or into
 * memory where none can be made there. Looks at every file that the stream refers to, but keeps
 * none open: an answer has to say how many there are before the first is sent. */
int sfd_jsonrpc_layer_make(struct splitfd_source *source, const volatile int *cancel,
	struct sfd_jsonrpc_layer *ret, struct splitfd_error *err);

/* Sends the stream's file and then, from a second source of the same layer, the files, a batch open
 * at a time. The answer with n_files + 1 descriptors has been given to sfd_jsonrpc_send() before.
 * After an error the connection has to be closed. */
int sfd_jsonrpc_layer_send(const struct sfd_jsonrpc_layer *layer, struct splitfd_source *source,
	const volatile int *cancel, struct sfd_jsonrpc *c, struct splitfd_error *err);

#endif
