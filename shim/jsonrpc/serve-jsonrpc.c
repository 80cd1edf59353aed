/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/jsonrpc/serve-jsonrpc.h"
#include "shim/common/rootless.h"
#include "shim/serve/serve-clients.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/layer-lookup.h"
#include "transport/json/json-member.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

/* Descriptors of one request, of which none needs any. */
#define FDS_MAX 16

SFD_DEFINE_CLEANUP(cleanup_connection, struct sfd_jsonrpc, sfd_jsonrpc_free);
SFD_DEFINE_CLEANUP(cleanup_store, struct splitfd_store, splitfd_store_close);
SFD_DEFINE_CLEANUP(cleanup_image, struct splitfd_image, splitfd_image_close);
SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

struct service {
	const struct sfd_serve_settings *settings;
	pthread_mutex_t lock;
	size_t n_layers; /* that are being sent; under the lock */
};

/* One request of one client. */
struct call {
	struct service *service;
	const struct sfd_serve_settings *settings; /* which end with the client */
	struct sfd_jsonrpc *c;
	const struct sfd_jsonrpc_message *request;
};

/* Answers with what failed. */
static int answer_failure(
	const struct call *call, const struct splitfd_error *why, struct splitfd_error *err)
{
	return sfd_jsonrpc_answer_error(call->c, call->request, SFD_JSONRPC_FAILED, why, err);
}

__attribute__((format(printf, 4, 5))) static int answer_code(
	const struct call *call, int code, struct splitfd_error *err, const char *format, ...)
{
	struct splitfd_error why = { .kind = SPLITFD_ERROR_USAGE };
	sfd_cleanup_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		return splitfd_error_oom(err);
	(void)splitfd_error_set(&why, SPLITFD_ERROR_USAGE, EINVAL, "%s", text);
	return sfd_jsonrpc_answer_error(call->c, call->request, code, &why, err);
}

/* A parameter that is a string: 1. 0 where that was answered with an error, or what failed. */
static int text_param(const struct call *call, const char *name, bool required, const char **ret,
	struct splitfd_error *err)
{
	const cJSON *params = call->request->params;
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(params, name);
	int r;

	if (!cJSON_IsObject(params)) {
		r = answer_code(call, SFD_JSONRPC_INVALID_PARAMS, err, "params must be an object");
		return r < 0 ? r : 0;
	}
	*ret = cJSON_GetStringValue(item);
	if (item != NULL && !cJSON_IsNull(item) && *ret == NULL)
		r = answer_code(call, SFD_JSONRPC_INVALID_PARAMS, err, "%s must be a string", name);
	else if (required && (*ret == NULL || **ret == '\0'))
		r = answer_code(call, SFD_JSONRPC_INVALID_PARAMS, err, "%s is required", name);
	else
		return 1;
	return r < 0 ? r : 0;
}

static int open_store(
	const struct call *call, struct splitfd_store **ret, struct splitfd_error *err)
{
	struct splitfd_store_options options = call->settings->store;

	options.cancel_fd = call->settings->cancel_fd;
	return sfd_rootless_store_open(&options, ret, err);
}

/* A document as a JSON string gives exactly these bytes back, or it is not given. */
static int add_document(
	cJSON *result, const char *name, const char *text, size_t size, struct splitfd_error *err)
{
	if (strlen(text) != size || !sfd_utf8_valid(text, size))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EILSEQ,
			"the image's %s is not UTF-8, so it cannot be sent as it is", name);
	return cJSON_AddStringToObject(result, name, text) != NULL ? 0 : splitfd_error_oom(err);
}

static int image_result(const struct splitfd_image *image, cJSON *result, struct splitfd_error *err)
{
	size_t manifest_size, config_size;
	const char *manifest = splitfd_image_manifest(image, &manifest_size);
	const char *config = splitfd_image_config(image, &config_size);
	cJSON *layers = cJSON_AddArrayToObject(result, "layerDigests");
	int r = layers != NULL ? 0 : splitfd_error_oom(err);

	for (size_t i = splitfd_image_n_layers(image); r == 0 && i > 0; i--) {
		cJSON *id = cJSON_CreateString(splitfd_image_layer(image, i - 1)->layer_id);

		if (!cJSON_AddItemToArray(layers, id)) {
			cJSON_Delete(id);
			r = splitfd_error_oom(err);
		}
	}
	if (r == 0)
		r = add_document(result, "manifest", manifest, manifest_size, err);
	return r < 0 ? r : add_document(result, "config", config, config_size, err);
}

static int find_image(
	const struct call *call, const char *name, cJSON *result, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	sfd_cleanup(cleanup_image) struct splitfd_image *image = NULL;
	int r = open_store(call, &store, err);

	if (r == 0)
		r = splitfd_image_open(store, name, SPLITFD_LOOKUP_PODMAN, &image, err);
	return r < 0 ? r : image_result(image, result, err);
}

static int get_image(const struct call *call, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *result = cJSON_CreateObject();
	struct splitfd_error why = { 0 };
	const char *name = NULL;
	int r = text_param(call, "imageId", true, &name, err);

	if (r <= 0)
		return r;
	if (find_image(call, name, result, &why) < 0)
		return answer_failure(call, &why, err);
	return sfd_jsonrpc_answer(call->c, call->request, sfd_take_ptr(&result), 0, err);
}

static int find_layer(const struct call *call, const char *id, struct splitfd_source **ret,
	struct splitfd_error *err)
{
	enum sfd_layer_key key = sfd_parse_sha256(id, NULL) ? SFD_LAYER_BY_DIFF_ID
							    : SFD_LAYER_BY_ID;
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	int r = open_store(call, &store, err);

	return r < 0 ? r : sfd_store_open_layer(store, key, id, ret, err);
}

/* A layer is served as the difference to its parent, never to another layer. */
static int check_parent(
	const struct call *call, const char *id, const char *parent, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_store) struct splitfd_store *store = NULL;
	char real[65] = "";
	int r = open_store(call, &store, err);

	if (r == 0)
		r = sfd_store_layer_parent(store, id, real, err);
	if (r == 0 && strcmp(real, parent) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the parent of layer %s is %s; the difference to another is not served", id,
			real[0] != '\0' ? real : "no layer");
	return r;
}

/* Announces the stream and its files, and sends them. */
static int send_layer(const struct call *call, const struct sfd_jsonrpc_layer *layer,
	struct splitfd_source *source, struct splitfd_error *err)
{
	const volatile int *cancel = call->settings->cancel;
	sfd_cleanup_json cJSON *result = cJSON_CreateObject();
	int r;

	if (cJSON_AddNumberToObject(result, "streamSize", (double)layer->size) == NULL)
		return splitfd_error_oom(err);
	r = sfd_jsonrpc_answer(
		call->c, call->request, sfd_take_ptr(&result), layer->n_files + 1, err);
	return r < 0 ? r : sfd_jsonrpc_layer_send(layer, source, cancel, call->c, err);
}

/* The source is read twice: the files must be counted before the first is sent. */
static int answer_layer(
	const struct call *call, const char *id, const char *parent, struct splitfd_error *err)
{
	sfd_cleanup(sfd_jsonrpc_layer_done) struct sfd_jsonrpc_layer layer = { .stream = -EBADF };
	sfd_cleanup(cleanup_source) struct splitfd_source *first = NULL, *second = NULL;
	struct splitfd_error why = { 0 };
	int r = find_layer(call, id, &first, &why);

	if (r == 0 && parent != NULL && parent[0] != '\0')
		r = check_parent(call, id, parent, &why);
	if (r == 0)
		r = sfd_jsonrpc_layer_make(first, call->settings->cancel, &layer, &why);
	if (r == 0)
		r = find_layer(call, id, &second, &why);
	return r < 0 ? answer_failure(call, &why, err) : send_layer(call, &layer, second, err);
}

/* One more layer under way, or one less; false where they are too many. */
static bool count_layer(struct service *s, bool more)
{
	bool good;

	pthread_mutex_lock(&s->lock);
	good = !more || s->n_layers < s->settings->max_layers;
	if (good && more)
		s->n_layers++;
	else if (good)
		s->n_layers--;
	pthread_mutex_unlock(&s->lock);
	return good;
}

static int get_layer(const struct call *call, struct splitfd_error *err)
{
	const char *id = NULL, *parent = NULL;
	int r = text_param(call, "layerId", true, &id, err);

	if (r > 0)
		r = text_param(call, "parentId", false, &parent, err);
	if (r <= 0)
		return r;
	if (!count_layer(call->service, true))
		return answer_code(call, SFD_JSONRPC_FAILED, err,
			"%zu layers are being sent already; try again later",
			call->settings->max_layers);
	r = answer_layer(call, id, parent, err);
	(void)count_layer(call->service, false);
	return r;
}

static int answer_request(const struct call *call, struct splitfd_error *err)
{
	static const struct {
		const char *name;
		int (*run)(const struct call *call, struct splitfd_error *err);
	} methods[] = {
		{ "GetImage", get_image },
		{ "GetSplitFDStream", get_layer },
	};
	const char *method = call->request->method;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, method) != 0)
			continue;
		if (call->request->n_fds > 0)
			return answer_code(call, SFD_JSONRPC_INVALID_PARAMS, err,
				"%s takes no descriptors", method);
		return methods[i].run(call, err);
	}
	return answer_code(call, SFD_JSONRPC_NO_METHOD, err, "method \"%.100s\" not found", method);
}

static int answer_message(const struct call *call, struct splitfd_error *err)
{
	switch (call->request->kind) {
	case SFD_JSONRPC_REQUEST:
		return answer_request(call, err);
	case SFD_JSONRPC_NOTIFICATION: /* by JSON-RPC's own rule nothing is said to these */
		return 0;
	case SFD_JSONRPC_RESPONSE:
		return answer_code(call, SFD_JSONRPC_INVALID_REQUEST, err,
			"Invalid Request: no request is waiting for a response");
	default:
		return answer_code(call, SFD_JSONRPC_INVALID_REQUEST, err, "Invalid Request: %s",
			call->request->why);
	}
}

static int handle(void *ctx, int socket, struct sfd_client *client, struct splitfd_error *err)
{
	struct service *s = ctx;
	const struct sfd_jsonrpc_options options = { .fds_max = FDS_MAX,
		.idle_ms = s->settings->idle_ms,
		.timeout_ms = s->settings->timeout_ms,
		.cancel_fd = s->settings->cancel_fd };
	sfd_cleanup(cleanup_connection) struct sfd_jsonrpc *c = NULL;
	struct sfd_serve_settings of_calls = *s->settings;
	int r = sfd_jsonrpc_new(socket, &options, &c, err);

	if (client != NULL) {
		of_calls.cancel = &sfd_client_stop(client)->flag;
		of_calls.cancel_fd = sfd_client_stop(client)->fd;
	}
	while (r == 0) {
		struct sfd_jsonrpc_message m;
		const struct call call = {
			.service = s, .settings = &of_calls, .c = c, .request = &m
		};

		sfd_client_waits(client, true);
		r = sfd_jsonrpc_receive(c, &m, err);
		sfd_client_waits(client, false);
		if (r == 0)
			return 0;
		if (r < 0 && sfd_jsonrpc_failure(c) != 0)
			(void)sfd_jsonrpc_answer_error(c, NULL, sfd_jsonrpc_failure(c), err, NULL);
		if (r > 0)
			r = answer_message(&call, err);
		sfd_jsonrpc_message_done(&m);
	}
	return r;
}

static void refuse(int socket)
{
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":"
				     "\"this user may not call\",\"data\":{\"kind\":\"refused\"}},"
				     "\"id\":null}";

	(void)send(socket, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int service_open(
	const struct sfd_serve_settings *settings, void **ret, struct splitfd_error *err)
{
	struct service *s;

	if (settings->repository != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--protocol=jsonrpc serves podman's store; a composefs repository is "
			"served by --protocol=varlink");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return splitfd_error_oom(err);
	s->settings = settings;
	(void)pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

static void service_close(void *ctx)
{
	struct service *s = ctx;

	pthread_mutex_destroy(&s->lock);
	free(s);
}

const struct sfd_serve_protocol sfd_protocol_jsonrpc = {
	.name = "jsonrpc",
	.open = service_open,
	.handle = handle,
	.refuse = refuse,
	.close = service_close,
};
