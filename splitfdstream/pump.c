/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/pump.h"
#include "splitfdstream/base/flag.h"

#include <errno.h>

int sfd_pump(struct splitfd_source *source, struct splitfd_sink *sink, const volatile int *cancel,
	sfd_moved_fn *moved, void *ctx, struct splitfd_error *err)
{
	for (;;) {
		struct splitfd_chunk chunk = { .fd = -EBADF };
		uint64_t bytes;
		int r;

		if (sfd_flag_is_set(cancel))
			return splitfd_error_set(
				err, SPLITFD_ERROR_FAILED, ECANCELED, "interrupted");
		r = splitfd_source_next(source, &chunk, err);
		if (r <= 0)
			return r;
		bytes = chunk.kind == SPLITFD_CHUNK_FILE ? chunk.size : chunk.data_len;
		r = splitfd_sink_put(sink, &chunk, err);
		if (r < 0)
			return r;
		if (moved != NULL)
			moved(ctx, bytes);
	}
}

int splitfd_pump(struct splitfd_source *source, struct splitfd_sink *sink,
	const volatile int *cancel, struct splitfd_error *err)
{
	return sfd_pump(source, sink, cancel, NULL, NULL, err);
}
