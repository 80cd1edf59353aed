/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/chunk-content.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"

#include <errno.h>

static int check_end(const struct sfd_chunk_content *c, const char *name, struct splitfd_error *err)
{
	char more;
	int r = sfd_pread_full(c->fd, &more, 1, c->done);

	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the file became longer while it was read", name);
	if (r != -ENODATA)
		return splitfd_error_sys(err, -r, "%s: cannot read", name);
	if (c->chunk->has_crc64 && c->crc != c->chunk->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the content is not the layer's (CRC-64 differs)", name);
	return 0;
}

ssize_t sfd_chunk_content_read(
	struct sfd_chunk_content *c, void *buffer, size_t n, struct splitfd_error *err)
{
	const char *name = c->chunk->name != NULL ? c->chunk->name : "a file";
	uint64_t left = c->chunk->size - c->done;
	int r;

	if (left == 0)
		return check_end(c, name, err);
	if (n > left)
		n = (size_t)left;
	r = sfd_pread_full(c->fd, buffer, n, c->done);
	if (r == -ENODATA)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the file became shorter while it was read", name);
	if (r < 0)
		return splitfd_error_sys(err, -r, "%s: cannot read", name);
	if (c->chunk->has_crc64)
		c->crc = splitfd_crc64(c->crc, buffer, n);
	c->done += n;
	return (ssize_t)n;
}
