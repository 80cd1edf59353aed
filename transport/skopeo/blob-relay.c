/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/blob-relay.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/thread.h"
#include "splitfdstream/digest.h"
#include "transport/skopeo/blob-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIECE	  ((size_t)256 * 1024)
#define PIPE_SIZE (1024 * 1024)
/* A proxy that dies closes its pipes a moment before its socket. */
#define DEATH_MS 1000

struct sfd_blob_relay {
	struct sfd_proxy *proxy;
	const struct sfd_remote_layer *layer;
	int stall_ms;
	struct sfd_blob_pipe *in;
	int out;
	struct sfd_thread thread;
	atomic_bool abandoned;
	int result;
	struct splitfd_error err;
};

static int copy(struct sfd_blob_relay *relay, struct splitfd_sha256 *sha256, uint8_t *buffer)
{
	while (!(relay->out < 0 && atomic_load(&relay->abandoned))) {
		ssize_t n = sfd_blob_pipe_read(relay->in, buffer, PIECE, &relay->err);
		int r = 0;

		if (n <= 0)
			return (int)n;
		splitfd_sha256_update(sha256, buffer, (size_t)n);
		r = relay->out >= 0 ? sfd_write_all(relay->out, buffer, (size_t)n) : 0;
		if (r == -EPIPE && !atomic_load(&relay->abandoned))
			relay->out = sfd_close(relay->out); /* bytes behind the tar's end */
		else if (r < 0)
			return splitfd_error_sys(&relay->err, -r, "cannot pass the blob on");
	}
	return 0;
}

static int check(struct sfd_blob_relay *relay, struct splitfd_sha256 *sha256)
{
	uint64_t bytes = sfd_blob_pipe_bytes(relay->in), size = relay->layer->size;
	bool same_size = size == UINT64_MAX || bytes == size;
	uint8_t digest[32], wanted[32];
	int r;

	r = splitfd_sha256_final(sha256, digest, &relay->err);
	if (r < 0)
		return r;
	if (same_size && sfd_parse_sha256(relay->layer->digest, wanted) &&
		memcmp(digest, wanted, 32) == 0)
		return 0;
	r = sfd_proxy_look_alive(relay->proxy, DEATH_MS, &relay->err);
	if (r < 0)
		return r;
	if (!same_size)
		return splitfd_error_set(&relay->err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"blob %s has %" PRIu64 " bytes, not %" PRIu64, relay->layer->digest, bytes,
			size);
	return splitfd_error_set(&relay->err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"blob %s has another digest", relay->layer->digest);
}

static int run(struct sfd_blob_relay *relay)
{
	struct splitfd_sha256 *sha256 = splitfd_sha256_new();
	sfd_cleanup_free uint8_t *buffer = malloc(PIECE);
	int r = 0;

	if (sha256 == NULL || buffer == NULL)
		r = splitfd_error_oom(&relay->err);
	if (r == 0)
		r = copy(relay, sha256, buffer);
	relay->out = sfd_close(relay->out);
	if (r == 0)
		r = sfd_blob_pipe_finish(relay->in, &relay->err);
	if (r == 0)
		r = check(relay, sha256);
	relay->in = sfd_blob_pipe_free(relay->in);
	splitfd_sha256_free(sha256);
	return r;
}

static void *thread(void *arg)
{
	struct sfd_blob_relay *relay = arg;

	relay->result = run(relay);
	return NULL;
}

static int call(struct sfd_blob_relay *relay, const struct sfd_remote_image *image,
	struct splitfd_error *err)
{
	bool raw = sfd_proxy_version(relay->proxy) >= 208;
	const char *method = raw ? "GetRawBlob" : "GetBlob";
	struct sfd_proxy_reply reply;
	char args[192];
	int r;

	if (!raw && relay->layer->size == UINT64_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
			"this skopeo does not tell the size of blob %s; a newer one is needed",
			relay->layer->digest);
	snprintf(args, sizeof(args),
		raw ? "[%" PRIu64 ",\"%s\"]" : "[%" PRIu64 ",\"%s\",%" PRIu64 "]", image->id,
		relay->layer->digest, relay->layer->size);
	r = sfd_proxy_call(relay->proxy, method, args, -1, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, method, err);
	if (r == 0)
		r = sfd_blob_pipe_open(
			relay->proxy, &reply, relay->layer->size, relay->stall_ms, &relay->in, err);
	sfd_proxy_reply_done(&reply);
	return r;
}

int sfd_blob_relay_start(struct sfd_remote_image *image, size_t i, int stall_ms,
	struct sfd_blob_relay **ret, int *ret_fd, struct splitfd_error *err)
{
	struct sfd_blob_relay *relay = calloc(1, sizeof(*relay));
	sfd_cleanup_fd int fd = -EBADF;
	int fds[2], r;

	if (relay == NULL)
		return splitfd_error_oom(err);
	*relay = (struct sfd_blob_relay){ .proxy = image->proxy,
		.layer = &image->layers[i],
		.stall_ms = stall_ms,
		.out = -EBADF };
	*ret = relay; /* from here on the caller frees it, also when we fail */
	r = call(relay, image, err);
	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return splitfd_error_sys(err, errno, "cannot make a pipe");
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	fd = fds[0];
	relay->out = fds[1];
	r = sfd_thread_start(&relay->thread, SFD_STACK_LARGE, thread, relay);
	if (r < 0)
		return splitfd_error_sys(err, -r, "cannot start a thread");
	*ret_fd = sfd_take_fd(&fd);
	return 0;
}

void sfd_blob_relay_abandon(struct sfd_blob_relay *relay)
{
	atomic_store(&relay->abandoned, true);
}

int sfd_blob_relay_finish(struct sfd_blob_relay *relay, struct splitfd_error *err)
{
	sfd_thread_join(&relay->thread);
	return relay->result < 0 ? splitfd_error_copy(err, relay->result, &relay->err)
				 : relay->result;
}

struct sfd_blob_relay *sfd_blob_relay_free(struct sfd_blob_relay *relay)
{
	if (relay == NULL)
		return NULL;
	sfd_blob_relay_abandon(relay);
	(void)sfd_blob_relay_finish(relay, NULL);
	sfd_blob_pipe_free(relay->in);
	sfd_close(relay->out);
	free(relay);
	return NULL;
}
