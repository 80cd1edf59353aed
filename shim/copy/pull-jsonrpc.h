/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PULL_JSONRPC_H
#define SPLITFD_SHIM_PULL_JSONRPC_H

/*
 * Pulls from a service of container-libs' JSON-RPC dialect: jsonrpc:SOCKET#IMAGE. Nothing that the
 * service says is believed: the config must have the digest that the manifest gives, the manifest
 * the one in IMAGE, if there is one, and every layer the sha256 that is its diff_id. Files are
 * imported as their descriptors arrive.
 */

#include "shim/copy/pull.h"

/* Feeds all layers (begin to the last sink; not end). */
int sfd_pull_from_jsonrpc(struct sfd_pull *pull, struct splitfd_error *err);

#endif
