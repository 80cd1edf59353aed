/* SPDX-License-Identifier: Apache-2.0 */
/* GetLayerInfo and GetRawBlob for a skopeo that does not have them yet. */
#include "transport/json/go-json.h"
#include "transport/oci/go-oci.h"
#include "shim/proxy/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "transport/skopeo/blob-pipe.h"
#include "transport/skopeo/proxy-fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define MANIFEST_MAX ((size_t)4 * 1024 * 1024)
#define PIECE	     ((size_t)256 * 1024)

/* The manifest as skopeo gives it, kept with the image. */
static int need_manifest(
	struct sfd_proxy_session *s, struct sfd_proxy_image *image, struct splitfd_error *err)
{
	sfd_cleanup_free char *digest = NULL;
	char args[32], real[72];
	size_t size;
	int r;

	if (image->manifest != NULL)
		return 0;
	snprintf(args, sizeof(args), "[%" PRIu64 "]", image->foreign_id);
	r = sfd_proxy_fetch(s->skopeo, "GetManifest", args, MANIFEST_MAX, &image->manifest, &size,
		&digest, err);
	if (r < 0)
		return r;
	r = splitfd_sha256_text(image->manifest, size, real, err);
	if (r < 0)
		return r;
	image->converted = digest == NULL || strcmp(real, digest) != 0;
	return 0;
}

static int bad_manifest(struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
		"the manifest that skopeo gives is not one of an image");
}

static int write_info(const struct sfd_proxy_image *image, const cJSON *layer, struct sfd_buffer *b)
{
	const cJSON *digest = sfd_json_member(layer, "digest");
	const cJSON *size = sfd_json_member(layer, "size");
	const cJSON *type = sfd_json_member(layer, "mediaType");
	const char *original;
	int r;

	if (!cJSON_IsString(digest) || !cJSON_IsNumber(size) || !cJSON_IsString(type))
		return -EPROTO;
	original = image->converted ? sfd_docker_layer_type(type->valuestring) : type->valuestring;
	if (original == NULL)
		return -EPROTO;
	r = sfd_buffer_append_str(b, "{\"digest\":");
	if (r == 0)
		r = sfd_json_string(b, digest->valuestring);
	if (r == 0)
		r = sfd_buffer_printf(
			b, ",\"size\":%" PRId64 ",\"media_type\":", (int64_t)size->valuedouble);
	if (r == 0)
		r = sfd_json_string(b, original);
	return r == 0 ? sfd_buffer_append_str(b, "}") : r;
}

static int write_infos(const struct sfd_proxy_image *image, struct sfd_buffer *b)
{
	const cJSON *layers, *layer;
	cJSON *json;
	int r = sfd_json_parse(image->manifest, strlen(image->manifest), &json);

	if (r == -ENOMEM)
		return r;
	layers = sfd_json_member(json, "layers");
	r = sfd_buffer_append_str(b, "[");
	cJSON_ArrayForEach (layer, layers) {
		if (r == 0 && layer != layers->child)
			r = sfd_buffer_append_str(b, ",");
		if (r == 0)
			r = write_info(image, layer, b);
	}
	if (r == 0)
		r = json == NULL ? -EPROTO : sfd_buffer_append_str(b, "]");
	cJSON_Delete(json);
	return r;
}

int sfd_supply_layer_info(struct sfd_proxy_session *s, struct sfd_proxy_image *image, bool piped,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_DOCUMENT_MAX };
	int r = need_manifest(s, image, err);

	if (r < 0)
		return r;
	r = write_infos(image, piped ? &b : &answer->value);
	if (r == -EPROTO)
		return bad_manifest(err);
	if (r < 0)
		return r == -ENOMEM ? splitfd_error_oom(err)
				    : splitfd_error_sys(err, -r, "the list of layers is too large");
	return piped ? sfd_proxy_answer_bytes(s, b.data, b.len, answer, err) : 0;
}

static bool size_in(const cJSON *descriptor, const char *digest, uint64_t *ret)
{
	const cJSON *d = sfd_json_member(descriptor, "digest");
	const cJSON *size = sfd_json_member(descriptor, "size");

	if (!cJSON_IsString(d) || strcmp(d->valuestring, digest) != 0 || !cJSON_IsNumber(size) ||
		size->valuedouble < 0)
		return false;
	*ret = (uint64_t)size->valuedouble;
	return true;
}

/* GetBlob wants to be told the size. 1, 0, or -ENOMEM. */
static int find_size(const struct sfd_proxy_image *image, const char *digest, uint64_t *ret)
{
	const cJSON *layer;
	cJSON *json;
	bool found;

	if (sfd_json_parse(image->manifest, strlen(image->manifest), &json) == -ENOMEM)
		return -ENOMEM;
	found = size_in(sfd_json_member(json, "config"), digest, ret);
	cJSON_ArrayForEach (layer, sfd_json_member(json, "layers")) {
		if (!found)
			found = size_in(layer, digest, ret);
	}
	cJSON_Delete(json);
	return found;
}

struct relay {
	struct sfd_proxy *proxy; /* the session may have another one by now */
	struct sfd_blob_pipe *from;
};

static int copy(struct relay *relay, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	sfd_cleanup_free uint8_t *buffer = malloc(PIECE);

	if (buffer == NULL)
		return splitfd_error_oom(err);
	for (;;) {
		ssize_t n = sfd_blob_pipe_read(relay->from, buffer, PIECE, err);
		int r = n > 0 ? sfd_pipe_write(w, buffer, (size_t)n, err) : (int)n;

		if (n <= 0 || r < 0)
			return r;
	}
}

static int run_relay(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct relay *relay = ctx;
	int r = copy(relay, w, err), finished;

	finished = sfd_blob_pipe_finish(relay->from, r == 0 ? err : NULL);
	return r == 0 ? finished : r;
}

static void free_relay(void *ctx)
{
	struct relay *relay = ctx;

	sfd_blob_pipe_free(relay->from);
	sfd_proxy_stop(relay->proxy);
	free(relay);
}

static int start_relay(struct sfd_proxy_session *s, struct sfd_proxy_reply *reply, uint64_t size,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int r;

	if (relay == NULL)
		return splitfd_error_oom(err);
	r = sfd_blob_pipe_open(s->skopeo, reply, size, s->settings->stall_ms, &relay->from, err);
	if (r < 0) {
		free(relay);
		return r;
	}
	relay->proxy = sfd_proxy_ref(s->skopeo);
	r = sfd_pipes_start_raw(s->pipes,
		&(struct sfd_pipe_work){ .run = run_relay, .free = free_relay, .ctx = relay },
		answer->fds, err);
	if (r < 0)
		return r;
	answer->n_fds = 2;
	r = sfd_buffer_printf(&answer->value, "%" PRIu64, size);
	return r < 0 ? splitfd_error_oom(err) : 0;
}

int sfd_supply_raw_blob(struct sfd_proxy_session *s, struct sfd_proxy_image *image,
	const char *digest, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct sfd_proxy_reply reply;
	uint64_t size;
	char args[256];
	int r = need_manifest(s, image, err);

	if (r < 0)
		return r;
	r = find_size(image, digest, &size);
	if (r < 0)
		return splitfd_error_oom(err);
	if (r == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"the manifest names no blob %s, and this skopeo gives no other", digest);
	snprintf(args, sizeof(args), "[%" PRIu64 ",\"%s\",%" PRIu64 "]", image->foreign_id, digest,
		size);
	r = sfd_proxy_call(s->skopeo, "GetBlob", args, s->settings->socket, &reply, err);
	if (r < 0)
		return r;
	r = sfd_proxy_check(&reply, "GetBlob", err);
	if (r == 0)
		r = start_relay(s, &reply, size, answer, err);
	sfd_proxy_reply_done(&reply);
	return r;
}

/* What comes on skopeo's error pipe, and a word where skopeo could say none. */
struct raw_errors {
	struct sfd_proxy *proxy;
	int from;
};

static int run_raw_errors(void *ctx, struct sfd_pipe_writer *w, struct splitfd_error *err)
{
	struct raw_errors *raw = ctx;
	sfd_cleanup_buffer struct sfd_buffer b = { .max = SFD_PROXY_REPLY_MAX };
	char text[4096];

	for (bool any = false;; any = true) {
		int r = sfd_wait_or_cancel(raw->from, POLLIN, w->cancel_fd, -1);
		ssize_t n = r < 0 ? r : sfd_read_some(raw->from, text, sizeof(text));

		if (n < 0)
			return splitfd_error_sys(err, (int)-n, "cannot read from skopeo");
		if (n == 0 && (any || sfd_proxy_check_running(raw->proxy, err) == 0))
			return 0;
		if (n == 0)
			break;
		r = sfd_pipe_write(w, text, (size_t)n, err);
		if (r < 0)
			return r;
	}
	if (sfd_proxy_error_json(err, &b) < 0)
		return -ENOMEM;
	return sfd_pipe_write(w, b.data, b.len, err);
}

static void free_raw_errors(void *ctx)
{
	struct raw_errors *raw = ctx;

	sfd_close(raw->from);
	sfd_proxy_stop(raw->proxy);
	free(raw);
}

int sfd_supply_raw_errors(
	struct sfd_proxy_session *s, struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	struct raw_errors *raw;

	if (answer->n_fds != 2)
		return splitfd_error_set(err, SPLITFD_ERROR_PEER, EPROTO,
			"skopeo's reply to GetRawBlob has the wrong descriptors");
	raw = calloc(1, sizeof(*raw));
	if (raw == NULL)
		return splitfd_error_oom(err);
	raw->proxy = sfd_proxy_ref(s->skopeo);
	raw->from = sfd_take_fd(&answer->fds[1]);
	return sfd_pipes_start_errors(s->pipes, s->generation,
		&(struct sfd_pipe_work){
			.run = run_raw_errors, .free = free_raw_errors, .ctx = raw },
		&answer->fds[1], err);
}
