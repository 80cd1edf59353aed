/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_PROXY_PULL_H
#define SPLITFD_SKOPEO_PROXY_PULL_H

/*
 * A layer through a proxy as a chunk source: by GetLayerSplitfd where the proxy has it (the files
 * themselves), else by GetRawBlob or GetBlob, decompressed and cut.
 */

#include "splitfdstream/chunk.h"
#include "transport/skopeo/proxy-image.h"

/* Layer i. Several may be read at once, each by a thread of its own. The blob's digest and size are
 * checked, and the end of the stream is only told when the proxy, too, says that all is well; the
 * content's own digest is the reader's to check. `spool_dir` (borrowed for the source's life) is
 * where unnamed files may be made, see transport/tar/tar-source.h. `stall_ms` is the longest
 * silence. *ret is the caller's; the image must outlive it. */
int sfd_remote_layer(struct sfd_remote_image *image, size_t i, int spool_dir, int stall_ms,
	struct splitfd_source **ret, struct splitfd_error *err);

#endif
