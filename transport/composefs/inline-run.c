/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/inline-run.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)4 * 1024 * 1024)
#define PIECE	   ((size_t)128 * 1024)

void sfd_inline_run_init(struct sfd_inline_run *run)
{
	*run = (struct sfd_inline_run){ .memory = { .max = MEMORY_MAX }, .fd = -EBADF };
}

void sfd_inline_run_done(struct sfd_inline_run *run)
{
	sfd_buffer_done(&run->memory);
	run->fd = sfd_close(run->fd);
	run->spilled = 0;
}

uint64_t sfd_inline_run_length(const struct sfd_inline_run *run)
{
	return run->spilled + run->memory.len;
}

static int open_spill(struct sfd_inline_run *run, struct splitfd_error *err)
{
	const char *dir = secure_getenv("TMPDIR");

	if (dir == NULL || dir[0] != '/')
		dir = "/var/tmp";
	run->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (run->fd < 0) {
		int errnum = errno;

		run->fd = -EBADF;
		return splitfd_error_sys(err, errnum,
			"cannot make a temporary file in %s for a long run of tar headers (TMPDIR "
			"names another folder)",
			dir);
	}
	return 0;
}

static int spill(struct sfd_inline_run *run, struct splitfd_error *err)
{
	int r;

	if (run->fd < 0) {
		r = open_spill(run, err);
		if (r < 0)
			return r;
	}
	r = sfd_pwrite_all(run->fd, run->memory.data, run->memory.len, run->spilled);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot write a temporary file for tar headers");
	run->spilled += run->memory.len;
	run->memory.len = 0;
	return 0;
}

int sfd_inline_run_add(
	struct sfd_inline_run *run, const void *data, size_t n, struct splitfd_error *err)
{
	const uint8_t *p = data;

	while (n > 0) {
		size_t piece = MEMORY_MAX - run->memory.len;
		int r;

		if (piece == 0) {
			r = spill(run, err);
			if (r < 0)
				return r;
			continue;
		}
		if (piece > n)
			piece = n;
		if (sfd_buffer_append(&run->memory, p, piece) < 0)
			return splitfd_error_oom(err);
		p += piece;
		n -= piece;
	}
	return 0;
}

static int flush_spilled(struct sfd_inline_run *run,
	int (*take)(void *ctx, const void *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *piece = malloc(PIECE);

	if (piece == NULL)
		return splitfd_error_oom(err);
	for (uint64_t done = 0; done < run->spilled;) {
		size_t n = run->spilled - done < PIECE ? (size_t)(run->spilled - done) : PIECE;
		int r = sfd_pread_full(run->fd, piece, n, done);

		if (r < 0)
			return splitfd_error_sys(
				err, -r, "cannot read back a temporary file of tar headers");
		r = take(ctx, piece, n, err);
		if (r < 0)
			return r;
		done += n;
	}
	run->spilled = 0;
	if (ftruncate(run->fd, 0) < 0)
		return splitfd_error_sys(err, errno, "cannot empty a temporary file");
	return 0;
}

int sfd_inline_run_flush(struct sfd_inline_run *run,
	int (*take)(void *ctx, const void *data, size_t n, struct splitfd_error *err), void *ctx,
	struct splitfd_error *err)
{
	int r = 0;

	if (run->spilled > 0)
		r = flush_spilled(run, take, ctx, err);
	if (r == 0 && run->memory.len > 0)
		r = take(ctx, run->memory.data, run->memory.len, err);
	run->memory.len = 0;
	return r;
}
