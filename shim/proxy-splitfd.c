/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy-json.h"
#include "shim/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/splitdirfdstream-writer.h"
#include "splitfdstream/splitfdstream-writer.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/seqpacket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);
SFD_DEFINE_CLEANUP(cleanup_sink, struct splitfd_sink, splitfd_sink_free);
SFD_DEFINE_CLEANUP(cleanup_output, struct splitfd_output, splitfd_output_free);

/* Files up to this size go inline unless the client says otherwise: what composefs keeps inline. */
#define INLINE_MAX_DEFAULT 64
/* Descriptors of one message. Well below what clients with a low limit may have open. */
#define FD_BATCH 32
/* How often a full channel is looked at for the end of the session. */
#define LOOK_MS 500

enum format { SPLITFDSTREAM, SPLITDIRFDSTREAM };

struct options {
	enum format format;
	uint64_t inline_max;
	bool reads_all;
};

/* The worker's context. */
struct layer {
	struct splitfd_source *source;
	struct options options;
	int channel;
};

/* The stream's way out: bytes to the pipe, descriptors ahead of them over the channel. */
struct output {
	struct splitfd_output base;
	struct sfd_pipe_writer *w; /* borrowed */
	int channel;		   /* borrowed */
};

static bool cancelled(const struct sfd_pipe_writer *w)
{
	struct pollfd p = { .fd = w->cancel_fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int send_fds(struct output *o, const int *fds, size_t n, struct splitfd_error *err)
{
	for (int waited = 0;; waited += LOOK_MS) {
		int r = splitfd_fds_send(o->channel, "", 1, fds, n, LOOK_MS, err);

		if (r != -ETIMEDOUT || waited >= o->w->stall_ms)
			return r;
		if (cancelled(o->w))
			return splitfd_error_set(
				err, SPLITFD_ERROR_PEER, ECANCELED, "the session has ended");
	}
}

static int output_write(struct splitfd_output *output, const void *data, size_t n, const int *fds,
	size_t n_fds, struct splitfd_error *err)
{
	struct output *o = (struct output *)output;
	int r = n_fds > 0 ? send_fds(o, fds, n_fds, err) : 0;

	return r == 0 && n > 0 ? sfd_pipe_write(o->w, data, n, err) : r;
}

static void output_free(struct splitfd_output *output)
{
	free(output);
}

static const struct splitfd_output_ops output_ops = { .write = output_write, .free = output_free };

static struct splitfd_output *new_output(struct sfd_pipe_writer *w, int channel)
{
	struct output *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	*o = (struct output){
		.base = { .ops = &output_ops, .fd_batch = FD_BATCH }, .w = w, .channel = channel
	};
	return &o->base;
}

static int new_sink(const struct options *o, struct splitfd_output *output,
	struct splitfd_sink **ret, struct splitfd_error *err)
{
	if (o->format == SPLITDIRFDSTREAM)
		return splitfd_splitdirfdstream_writer_new(output,
			&(struct splitfd_splitdirfdstream_writer_options){
				.inline_max = o->inline_max, .consumer_reads_all = o->reads_all },
			ret, err);
	return splitfd_splitfdstream_writer_new(output,
		&(struct splitfd_splitfdstream_writer_options){ .inline_max = o->inline_max }, ret,
		err);
}

static int run(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct layer *layer = ctx;
	sfd_cleanup(cleanup_sink) struct splitfd_sink *sink = NULL;
	struct splitfd_output *output = new_output(w, layer->channel);
	int r;

	if (output == NULL)
		return splitfd_error_oom(err);
	r = new_sink(&layer->options, output, &sink, err);
	if (r == 0)
		r = splitfd_pump(layer->source, sink, NULL, err);
	if (r == 0)
		r = splitfd_sink_finish(sink, err);
	return r;
}

static void free_layer(void *ctx)
{
	struct layer *layer = ctx;

	splitfd_source_free(layer->source);
	sfd_close(layer->channel);
	free(layer);
}

static int bad_option(struct splitfd_error *err, const char *name, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "option \"%s\" %s", name, why);
}

static int parse_format(const cJSON *item, struct options *o, struct splitfd_error *err)
{
	if (cJSON_IsString(item) && strcmp(item->valuestring, "splitfdstream") == 0)
		o->format = SPLITFDSTREAM;
	else if (cJSON_IsString(item) && strcmp(item->valuestring, "splitdirfdstream") == 0)
		o->format = SPLITDIRFDSTREAM;
	else
		return bad_option(err, "format", "is splitfdstream or splitdirfdstream");
	return 0;
}

static int parse_option(const cJSON *item, struct options *o, struct splitfd_error *err)
{
	if (strcmp(item->string, "format") == 0)
		return parse_format(item, o, err);
	if (strcmp(item->string, "inline_max") == 0) {
		if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
			item->valuedouble > (double)SPLITFD_INLINE_MAX)
			return bad_option(err, item->string, "is a number of bytes up to 256 MiB");
		o->inline_max = (uint64_t)item->valuedouble;
		return 0;
	}
	if (strcmp(item->string, "consumer_has_cap_dac_override") == 0) {
		if (!cJSON_IsBool(item))
			return bad_option(err, item->string, "is true or false");
		o->reads_all = cJSON_IsTrue(item);
		return 0;
	}
	/* A client must not believe that something happens which does not. */
	return bad_option(err, item->string, "is not known to this server");
}

static int parse_options(const cJSON *json, struct options *o, struct splitfd_error *err)
{
	int r = 0;

	*o = (struct options){ .inline_max = INLINE_MAX_DEFAULT };
	if (json == NULL || cJSON_IsNull(json))
		return 0;
	if (!cJSON_IsObject(json))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting an object of options, not %s", sfd_json_type(json));
	for (const cJSON *item = json->child; r == 0 && item != NULL; item = item->next)
		r = parse_option(item, o, err);
	return r;
}

/* By diff_id or by the manifest's digest. */
static int find_layer(
	struct splitfd_image *image, const char *digest, size_t *ret, struct splitfd_error *err)
{
	if (strchr(digest, ':') == NULL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "invalid checksum digest format");
	return splitfd_image_find_layer(image, digest, ret, err);
}

static int start(struct sfd_proxy_session *s, struct splitfd_source **source,
	const struct options *options, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct layer *layer = malloc(sizeof(*layer));
	struct sfd_pipe_work work = { .run = run, .free = free_layer, .close_at_end = true };
	int pair[2], r;

	if (layer == NULL)
		return splitfd_error_oom(err);
	r = sfd_seqpacket_pair(pair, err);
	if (r < 0) {
		free(layer);
		return r;
	}
	*layer = (struct layer){
		.source = sfd_take_ptr(source), .options = *options, .channel = pair[0]
	};
	work.ctx = layer;
	r = sfd_pipes_start(s->pipes, &work, &answer->fds[0], &answer->pipeid, err);
	if (r < 0) {
		sfd_close(pair[1]);
		return r;
	}
	answer->fds[1] = pair[1];
	answer->n_fds = 2;
	return 0;
}

int sfd_proxy_get_layer_splitfd(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	const cJSON *digest = cJSON_GetArrayItem(args, 1);
	struct sfd_proxy_image *image;
	struct options options;
	size_t i;
	int r;

	r = sfd_proxy_arg_image(s, args, &image, err);
	if (r < 0)
		return r;
	if (!cJSON_IsString(digest))
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "expecting string digest");
	if (image->native == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_FAILED, EOPNOTSUPP,
			"the image has no files on this machine; use GetRawBlob or GetBlob");
	r = parse_options(cJSON_GetArrayItem(args, 2), &options, err);
	if (r == 0)
		r = find_layer(sfd_native_image(image->native), digest->valuestring, &i, err);
	if (r == 0)
		r = splitfd_image_open_layer(sfd_native_image(image->native), i, &source, err);
	return r == 0 ? start(s, &source, &options, answer, err) : r;
}
