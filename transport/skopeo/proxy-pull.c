/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/proxy-pull.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "transport/rpc/fdpass.h"
#include "transport/skopeo/blob-relay.h"
#include "transport/skopeo/proxy-fetch.h"
#include "transport/tar/tar-source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Contents up to this size stay in memory on their way. */
#define CONTENT_IN_MEMORY ((size_t)64 * 1024)

/* A source and what has to be well besides it before its end counts. */
struct remote_source {
	struct splitfd_source base;
	struct splitfd_source *inner;
	struct sfd_blob_relay *relay; /* or NULL: */
	struct sfd_proxy *proxy;
	uint32_t pipeid; /* to finish */
	int failed;
	struct splitfd_error err;
};

static int finish(struct remote_source *s, struct splitfd_error *err)
{
	uint32_t pipeid = s->pipeid;

	s->pipeid = 0;
	if (s->relay != NULL)
		return sfd_blob_relay_finish(s->relay, err);
	return pipeid != 0 ? sfd_proxy_finish(s->proxy, pipeid, err) : 0;
}

/* The proxy knows better why the stream ended too early. */
static int fail(struct remote_source *s, int r, const struct splitfd_error *ours)
{
	struct splitfd_error theirs = { 0 };

	if (s->relay != NULL)
		sfd_blob_relay_abandon(s->relay);
	s->inner = splitfd_source_free(s->inner); /* lets go of the pipe, so that nobody waits */
	if (finish(s, &theirs) < 0 && theirs.errnum != EPIPE) {
		s->err = theirs;
		return -theirs.errnum;
	}
	s->err = *ours;
	return r;
}

static int next(struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct remote_source *s = (struct remote_source *)source;
	struct splitfd_error ours = { 0 };
	int r = 0;

	if (s->failed == 0)
		r = sfd_proxy_check_ending(s->proxy, &ours);
	if (r == 0 && s->failed == 0 && s->inner != NULL)
		r = splitfd_source_next(s->inner, ret, &ours);
	if (r > 0)
		return r;
	if (s->failed == 0 && r < 0)
		s->failed = fail(s, r, &ours);
	else if (s->failed == 0) {
		s->inner = splitfd_source_free(s->inner);
		s->failed = finish(s, &s->err);
	}
	return s->failed < 0 ? splitfd_error_copy(err, s->failed, &s->err) : s->failed;
}

static void free_source(struct splitfd_source *source)
{
	struct remote_source *s = (struct remote_source *)source;

	if (s->relay != NULL)
		sfd_blob_relay_abandon(s->relay);
	splitfd_source_free(s->inner);
	if (s->failed == 0)
		(void)finish(s, NULL);
	sfd_blob_relay_free(s->relay);
	free(s);
}

static const struct splitfd_source_ops ops = { .next = next, .free = free_source };

SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

static int cut(struct splitfd_source *bytes, int spool_dir, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	return sfd_tar_source_new(bytes,
		&(struct sfd_tar_source_options){
			.inline_content_max = CONTENT_IN_MEMORY, .spool_dir = spool_dir },
		ret, err);
}

static int wrap(struct sfd_proxy *proxy, struct remote_source **ret, struct splitfd_error *err)
{
	struct remote_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return splitfd_error_oom(err);
	s->base.ops = &ops;
	s->proxy = proxy;
	*ret = s;
	return 0;
}

/* Takes the reply's descriptors: the stream, and the channel of its files. */
static int read_splitfd(struct sfd_remote_image *image, struct sfd_proxy_reply *reply,
	int spool_dir, int stall_ms, struct splitfd_source **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	struct remote_source *s = NULL;
	struct splitfd_input *input;
	int r = wrap(image->proxy, &s, err);

	if (r < 0)
		return r;
	source = &s->base;
	s->pipeid = reply->pipeid;
	r = splitfd_input_channel_new(
		sfd_take_fd(&reply->fds[0]), sfd_take_fd(&reply->fds[1]), stall_ms, &input, err);
	if (r == 0)
		input->cancel_fd = sfd_proxy_stop_fd(image->proxy);
	if (r == 0)
		r = splitfd_splitfdstream_reader_new(input, &s->inner, err);
	if (r == 0)
		r = cut(sfd_take_ptr(&s->inner), spool_dir, &s->inner, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&source);
	return 0;
}

/* 1: *ret; 0: the proxy has no such method, or not for this image. */
static int try_splitfd(struct sfd_remote_image *image, size_t i, int spool_dir, int stall_ms,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	struct sfd_proxy_reply reply;
	char args[160];
	int r;

	if (__atomic_load_n(&image->splitfd, __ATOMIC_RELAXED) == 0)
		return 0;
	snprintf(args, sizeof(args), "[%" PRIu64 ",\"%s\"]", image->id, image->layers[i].diff_id);
	r = sfd_proxy_call(image->proxy, "GetLayerSplitfd", args, -1, &reply, err);
	if (r < 0)
		return r;
	__atomic_store_n(&image->splitfd, reply.success ? 1 : 0, __ATOMIC_RELAXED);
	if (reply.success && (reply.n_fds != 2 || reply.pipeid == 0))
		r = splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
			"the reply to GetLayerSplitfd has no two descriptors");
	else if (reply.success)
		r = read_splitfd(image, &reply, spool_dir, stall_ms, ret, err);
	if (r == 0 && reply.success)
		r = 1;
	sfd_proxy_reply_done(&reply);
	return r;
}

static int read_blob(struct sfd_remote_image *image, size_t i, int spool_dir, int stall_ms,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	struct remote_source *s = NULL;
	int fd, r = wrap(image->proxy, &s, err);

	if (r < 0)
		return r;
	source = &s->base;
	r = sfd_blob_relay_start(image, i, stall_ms, &s->relay, &fd, err);
	if (r == 0)
		r = sfd_archive_source_new(fd, stall_ms, 0, &s->inner, err);
	if (r == 0)
		r = cut(sfd_take_ptr(&s->inner), spool_dir, &s->inner, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&source);
	return 0;
}

int sfd_remote_layer(struct sfd_remote_image *image, size_t i, int spool_dir, int stall_ms,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	int r = try_splitfd(image, i, spool_dir, stall_ms, ret, err);

	if (r != 0)
		return r < 0 ? r : 0;
	return read_blob(image, i, spool_dir, stall_ms, ret, err);
}
