/* SPDX-License-Identifier: Apache-2.0 */
/* GetLayerSplitfd (contrib/proposal.md): options, and the stream with its descriptors. */
#include "transport/copy/layer-objects.h"
#include "transport/json/go-json.h"
#include "shim/proxy/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/chunk-cleanup.h"
#include "splitfdstream/wire-formats.h"
#include "transport/composefs/algorithm.h"
#include "transport/rpc/fdpass.h"
#include "transport/rpc/seqpacket.h"
#include "transport/tar/tar-entry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* Descriptors of one message. Well below what clients with a low limit may have open. */
#define FD_BATCH 32
/* How often a full channel is looked at for the end of the session. */
#define LOOK_MS 500
/* And how often a layer, in chunks, for the end of the session or the client. */
#define LOOK_CHUNKS 64

struct options {
	const struct sfd_wire_format *format; /* NULL: not given, or splitstream */
	bool splitstream; /* refers to objects by digest, in the directory that the client passed */
	bool objects;
	enum splitfd_algorithm algorithm;
	bool has_algorithm, has_inline_max, has_reads_all;
	uint64_t inline_max;
	bool reads_all;
};

/* The worker's context. */
struct layer {
	struct splitfd_source base; /* `source`, as long as the client and the session are there */
	struct splitfd_source *source;
	struct sfd_pipe_writer *w; /* borrowed; NULL until the worker runs */
	unsigned int n_chunks;
	struct options options;
	int channel;
	int objects;
	char diff_id[72];
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
	return o->format->writer_new(output,
		&(struct splitfd_splitdirfdstream_writer_options){
			.inline_max = o->inline_max, .consumer_reads_all = o->reads_all },
		ret, err);
}

static int watched_next(
	struct splitfd_source *source, struct splitfd_chunk *ret, struct splitfd_error *err)
{
	struct layer *layer = (struct layer *)source;
	int r = layer->n_chunks++ % LOOK_CHUNKS == 0 ? sfd_pipe_check(layer->w, err) : 0;

	return r < 0 ? r : splitfd_source_next(layer->source, ret, err);
}

static const struct splitfd_source_ops watched_ops = { .next = watched_next };

static int send_stream(struct layer *layer, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	sfd_cleanup_sink struct splitfd_sink *sink = NULL;
	struct splitfd_output *output = new_output(w, layer->channel);
	int r;

	if (output == NULL)
		return splitfd_error_oom(err);
	r = new_sink(&layer->options, output, &sink, err);
	if (r == 0)
		r = splitfd_pump(&layer->base, sink, NULL, err);
	if (r == 0)
		r = splitfd_sink_finish(sink, err);
	return r;
}

static int write_bytes(void *ctx, const void *data, size_t n, struct splitfd_error *err)
{
	return sfd_pipe_write(ctx, data, n, err);
}

static int run(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct layer *layer = ctx;

	layer->w = w;
	if (!layer->options.objects)
		return send_stream(layer, w, err);
	return sfd_store_layer(sfd_take_fd(&layer->objects), layer->options.algorithm,
		layer->diff_id, &layer->base, NULL, write_bytes, w, err);
}

static void free_layer(void *ctx)
{
	struct layer *layer = ctx;

	splitfd_source_free(layer->source);
	sfd_close(layer->channel);
	sfd_close(layer->objects);
	free(layer);
}

static int bad_option(struct splitfd_error *err, const char *name, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "option \"%s\" %s", name, why);
}

static int parse_format(const cJSON *item, struct options *o, struct splitfd_error *err)
{
	const char *name = cJSON_IsString(item) ? item->valuestring : "";

	o->format = sfd_wire_format_by_name(name);
	o->splitstream = strcmp(name, "splitstream") == 0;
	if (o->format != NULL || o->splitstream)
		return 0;
	return bad_option(err, "format", "is splitfdstream, splitdirfdstream or splitstream");
}

static int parse_number(const cJSON *item, struct options *o, struct splitfd_error *err)
{
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
		item->valuedouble > (double)SPLITFD_INLINE_MAX)
		return bad_option(err, item->string, "is a number of bytes up to 256 MiB");
	o->inline_max = (uint64_t)item->valuedouble;
	o->has_inline_max = true;
	return 0;
}

static int parse_option(const cJSON *item, struct options *o, struct splitfd_error *err)
{
	bool objects = strcmp(item->string, "objects") == 0;

	if (strcmp(item->string, "format") == 0)
		return parse_format(item, o, err);
	if (strcmp(item->string, "inline_max") == 0)
		return parse_number(item, o, err);
	if (strcmp(item->string, "algorithm") == 0) {
		o->has_algorithm = true;
		if (!cJSON_IsString(item) ||
			!sfd_algorithm_parse_hash(item->valuestring, &o->algorithm))
			return bad_option(err, item->string, "is sha512 or sha256");
		return 0;
	}
	/* A client must not believe that something happens which does not. */
	if (!objects && strcmp(item->string, "consumer_has_cap_dac_override") != 0)
		return bad_option(err, item->string, "is not known to this server");
	if (!cJSON_IsBool(item))
		return bad_option(err, item->string, "is true or false");
	if (objects)
		o->objects = cJSON_IsTrue(item);
	else
		o->reads_all = o->has_reads_all = cJSON_IsTrue(item);
	return 0;
}

static int check_options(struct options *o, bool has_fd, struct splitfd_error *err)
{
	if (o->objects && !has_fd)
		return bad_option(err, "objects",
			"requires the descriptor of the objects directory with the request");
	if (o->objects ? o->format != NULL || o->has_inline_max || o->has_reads_all
		       : o->splitstream || o->has_algorithm)
		return bad_option(err, "objects",
			"goes with format splitstream and algorithm, and they with it");
	if (o->format == NULL)
		o->format = sfd_wire_format_by_name("splitfdstream");
	return 0;
}

static int parse_options(
	const cJSON *json, bool has_fd, struct options *o, struct splitfd_error *err)
{
	int r = 0;

	*o = (struct options){ .inline_max = SFD_TAR_INLINE_MAX, .algorithm = SPLITFD_SHA512 };
	if (json != NULL && !cJSON_IsNull(json) && !cJSON_IsObject(json))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting an object of options, not %s", sfd_json_type(json));
	for (const cJSON *item = json != NULL ? json->child : NULL; r == 0 && item != NULL;
		item = item->next)
		r = parse_option(item, o, err);
	return r == 0 ? check_options(o, has_fd, err) : r;
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

/* Always takes the layer. */
static int start(struct sfd_proxy_session *s, struct layer *layer, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	struct sfd_pipe_work work = {
		.run = run, .free = free_layer, .ctx = layer, .close_at_end = true
	};
	int pair[2], r;

	r = sfd_seqpacket_pair(pair, err);
	if (r < 0) {
		free_layer(layer);
		return r;
	}
	layer->channel = pair[0];
	r = sfd_pipes_start(s->pipes, &work, &answer->fds[0], &answer->pipeid, err);
	if (r < 0) {
		sfd_close(pair[1]);
		return r;
	}
	answer->fds[1] = pair[1];
	answer->n_fds = 2;
	return 0;
}

static int open_layer(struct sfd_proxy_session *s, struct splitfd_image *image, size_t i,
	const struct options *options, struct layer **ret, struct splitfd_error *err)
{
	struct layer *layer = calloc(1, sizeof(*layer));
	int r;

	if (layer == NULL)
		return splitfd_error_oom(err);
	layer->base.ops = &watched_ops;
	layer->options = *options;
	layer->channel = layer->objects = -EBADF;
	r = splitfd_image_open_layer(image, i, &layer->source, err);
	if (r < 0) {
		free(layer);
		return r;
	}
	if (options->objects)
		layer->objects = sfd_take_fd(&s->received_fd);
	snprintf(layer->diff_id, sizeof(layer->diff_id), "%s",
		splitfd_image_layer(image, i)->diff_id);
	*ret = layer;
	return 0;
}

int sfd_proxy_get_layer_splitfd(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const cJSON *digest = cJSON_GetArrayItem(args, 1);
	struct sfd_proxy_image *image = NULL;
	struct layer *layer = NULL;
	struct options options;
	size_t i = 0;
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
	r = parse_options(cJSON_GetArrayItem(args, 2), s->received_fd >= 0, &options, err);
	if (r == 0)
		r = find_layer(sfd_native_image(image->native), digest->valuestring, &i, err);
	if (r == 0)
		r = open_layer(s, sfd_native_image(image->native), i, &options, &layer, err);
	return r == 0 ? start(s, layer, answer, err) : r;
}
