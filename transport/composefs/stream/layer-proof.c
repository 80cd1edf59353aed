/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/stream/layer-proof.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/verify-sink.h"
#include "transport/composefs/beneath.h"
#include "transport/composefs/repository-private.h"
#include "transport/composefs/stream/splitstream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKS	    "splitfd-proven"
#define MARK_SIZE   (sizeof(MARKS) + 72)
#define HEX_SIZE    (2 * SPLITFD_DIGEST_MAX + 1)
#define NEW_LETTERS 12

SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);
SFD_DEFINE_CLEANUP(cleanup_sink, struct splitfd_sink, splitfd_sink_free);

static bool mark_path(const char *diff_id, char path[MARK_SIZE])
{
	return sfd_parse_sha256(diff_id, NULL) &&
	       snprintf(path, MARK_SIZE, MARKS "/%s", diff_id) < (int)MARK_SIZE;
}

bool sfd_layer_is_proven(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream)
{
	char path[MARK_SIZE], hex[HEX_SIZE], text[HEX_SIZE];

	if (!mark_path(diff_id, path))
		return false;
	splitfd_digest_hex(stream, hex);
	return sfd_beneath_readlink(repository->fd, path, text, sizeof(text)) > 0 &&
	       strcmp(text, hex) == 0;
}

void sfd_layer_mark_proven(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream)
{
	char path[MARK_SIZE], hex[HEX_SIZE], fresh[NEW_LETTERS + 1];
	sfd_cleanup_fd int dir = -EBADF;
	const char *name;

	if (!repository->write || !mark_path(diff_id, path) ||
		sfd_layer_is_proven(repository, diff_id, stream) ||
		sfd_random_name(fresh, NEW_LETTERS) < 0)
		return;
	splitfd_digest_hex(stream, hex);
	if (sfd_beneath_make_parents(repository->fd, path) < 0)
		return;
	dir = sfd_beneath_parent(repository->fd, path, &name);
	if (dir < 0 || symlinkat(hex, dir, fresh) < 0)
		return;
	if (renameat(dir, fresh, dir, name) < 0)
		(void)unlinkat(dir, fresh, 0);
}

/* The tar of the splitstream and its objects into a sink that compares its sha256. */
static int read_all(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream, const volatile int *cancel, struct splitfd_error *err)
{
	const struct splitfd_verify_options options = { .diff_id = diff_id, .size = UINT64_MAX };
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	int r = splitfd_verify_sink_new(NULL, &options, &sink, err);

	if (r >= 0)
		r = sfd_splitstream_source_new(repository, stream, &source, err);
	if (r >= 0)
		r = splitfd_pump(source, sink, cancel, err);
	return r < 0 ? r : splitfd_sink_finish(sink, err);
}

int sfd_layer_prove(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream, const volatile int *cancel, struct splitfd_error *err)
{
	int r;

	if (sfd_layer_is_proven(repository, diff_id, stream))
		return 0;
	r = read_all(repository, diff_id, stream, cancel, err);
	if (r == -EBADMSG)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"layer %s is in the repository, but with other content, from a pull that "
			"did not check its SHA-256 or by damage; 'splitfd fsck' shows it, a pull "
			"of the image with --verify-diffid replaces it",
			diff_id);
	if (r < 0)
		return splitfd_error_wrap(
			err, r, "layer %s, which is in the repository already", diff_id);
	sfd_layer_mark_proven(repository, diff_id, stream);
	return 0;
}
