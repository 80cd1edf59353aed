/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_STREAM_CMD_H
#define SPLITFD_SHIM_STREAM_CMD_H

/*
 * `splitfd stream` for splitstreams of a repository. A stream is a layer's diff_id, a name below
 * streams/ ("oci-config-sha256:…", "refs/oci/TAG"), or a stream object's fs-verity digest.
 */

#include "shim/common/repo-options.h"

struct sfd_stream_request {
	struct sfd_repo_options repo;
	const char *name;
	const char *format; /* of a wire stream in a file; NULL: none was said */
	bool json;
};

/* Header, references and chunks. */
int sfd_stream_dump(const struct sfd_stream_request *q, struct splitfd_error *err);
/* The whole stream on standard output, objects and all. */
int sfd_stream_cat(const struct sfd_stream_request *q, struct splitfd_error *err);
/* Framing, references, sizes, and the sha256 where the name says it. */
int sfd_stream_check(const struct sfd_stream_request *q, struct splitfd_error *err);

#endif
