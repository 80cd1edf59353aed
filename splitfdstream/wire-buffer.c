/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/wire-buffer.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"

#include <errno.h>
#include <string.h>

int sfd_wire_failed(const struct sfd_wire *w, struct splitfd_error *err)
{
	if (err != NULL)
		*err = w->error;
	return w->failed;
}

int sfd_wire_fail(
	struct sfd_wire *w, int r, const struct splitfd_error *error, struct splitfd_error *err)
{
	w->failed = r;
	w->error = *error;
	return sfd_wire_failed(w, err);
}

int sfd_wire_flush(struct sfd_wire *w, struct splitfd_error *err)
{
	int r;

	if (w->len == 0 && w->n_fds == 0)
		return 0;
	r = w->output->ops->write(w->output, w->buffer, w->len, w->fds, w->n_fds, err);
	for (size_t i = 0; i < w->n_fds; i++)
		sfd_close(w->fds[i]);
	w->n_fds = 0;
	w->len = 0;
	return r;
}

int sfd_wire_room(struct sfd_wire *w, size_t n, struct splitfd_error *err)
{
	return sizeof(w->buffer) - w->len >= n ? 0 : sfd_wire_flush(w, err);
}

int sfd_wire_bytes(struct sfd_wire *w, const void *data, size_t n, struct splitfd_error *err)
{
	if (n > sizeof(w->buffer) - w->len) {
		int r = sfd_wire_flush(w, err);

		if (r < 0)
			return r;
		if (n > sizeof(w->buffer))
			return w->output->ops->write(w->output, data, n, NULL, 0, err);
	}
	if (n > 0)
		memcpy(w->buffer + w->len, data, n);
	w->len += n;
	return 0;
}

int sfd_wire_fd(struct sfd_wire *w, int fd, struct splitfd_error *err)
{
	size_t batch = w->output->fd_batch < SFD_WIRE_FDS ? w->output->fd_batch : SFD_WIRE_FDS;
	int r = 0;

	if (batch == 0)
		r = splitfd_error_set(err, SPLITFD_ERROR_USAGE, EOPNOTSUPP,
			"a file has to be sent as a descriptor, but no descriptors can be passed "
			"along; give a Unix socket");
	else if (w->n_fds >= batch)
		r = sfd_wire_flush(w, err);
	if (r < 0) {
		sfd_close(fd);
		return r;
	}
	w->fds[w->n_fds++] = fd;
	return 0;
}

/* Straight into the buffer: the bytes are copied once. */
int sfd_wire_content(struct sfd_wire *w, int fd, const struct splitfd_chunk *chunk,
	const char *name, struct splitfd_error *err)
{
	uint64_t done = 0, crc = 0;
	char more;
	int r;

	while (done < chunk->size) {
		size_t n = sizeof(w->buffer) - w->len;

		if (n == 0) {
			r = sfd_wire_flush(w, err);
			if (r < 0)
				return r;
			continue;
		}
		if (n > chunk->size - done)
			n = (size_t)(chunk->size - done);
		r = sfd_pread_full(fd, w->buffer + w->len, n, done);
		if (r == -ENODATA)
			return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
				"%s: the file became shorter while it was read", name);
		if (r < 0)
			return splitfd_error_sys(err, -r, "%s: cannot read", name);
		crc = splitfd_crc64(crc, w->buffer + w->len, n);
		w->len += n;
		done += n;
	}
	if (sfd_pread_full(fd, &more, 1, done) != -ENODATA)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the file became longer while it was read", name);
	if (chunk->has_crc64 && crc != chunk->crc64)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the content is not the layer's (CRC-64 differs)", name);
	return 0;
}

void sfd_wire_done(struct sfd_wire *w)
{
	for (size_t i = 0; i < w->n_fds; i++)
		sfd_close(w->fds[i]);
	w->n_fds = 0;
	w->output = splitfd_output_free(w->output);
}
