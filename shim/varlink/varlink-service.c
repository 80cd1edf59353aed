/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to methods: org.varlink.service, and the interfaces of what is served. */
#include "shim/serve/serve-clients.h"
#include "shim/varlink/varlink-descriptions.h"
#include "shim/varlink/varlink-session.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/version.h"
#include "transport/composefs/import/import.h"

#include <string.h>
#include <sys/socket.h>

/* A config and a manifest, escaped, fit; a client that sends more is not one of ours. */
#define MESSAGE_MAX ((size_t)48 * 1024 * 1024)
#define VALUES_MAX  ((size_t)64 * 1024)
/* The longest name of a method; what is longer is none. */
#define NAME_MAX_LEN 128

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err);
static int get_interface_description(struct sfd_varlink_session *s,
	const struct sfd_varlink_call *call, struct sfd_varlink_result *ret,
	struct splitfd_error *err);

static const struct sfd_varlink_row service_rows[] = {
	{ "GetInfo", get_info },
	{ "GetInterfaceDescription", get_interface_description },
	{ NULL },
};

static const struct sfd_varlink_interface service_interface = {
	.name = SFD_IFACE_SERVICE,
	.description = sfd_varlink_service_description,
	.rows = service_rows,
};

/* Interface number i of what is served; NULL behind the last. */
static const struct sfd_varlink_interface *interface_at(
	const struct sfd_varlink_session *s, size_t i)
{
	static const struct sfd_varlink_interface *const of_store[] = { &sfd_varlink_oci_of_store,
		&service_interface, NULL };
	static const struct sfd_varlink_interface *const of_layers[] = { &sfd_varlink_oci_of_layers,
		&service_interface, NULL };
	static const struct sfd_varlink_interface *const of_repository[] = {
		&sfd_varlink_repository, &sfd_varlink_oci_of_repository, &service_interface, NULL
	};

	if (s->layers_only)
		return of_layers[i];
	return (s->settings->repository != NULL ? of_repository : of_store)[i];
}

static const struct sfd_varlink_interface *find_interface(
	const struct sfd_varlink_session *s, const char *name)
{
	const struct sfd_varlink_interface *interface;

	for (size_t i = 0; (interface = interface_at(s, i)) != NULL; i++) {
		if (strcmp(interface->name, name) == 0)
			return interface;
	}
	return NULL;
}

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	cJSON *o = sfd_varlink_object(ret), *interfaces;
	const struct sfd_varlink_interface *interface;

	(void)call;
	if (cJSON_AddStringToObject(o, "vendor", "splitfd") == NULL ||
		cJSON_AddStringToObject(o, "product", "splitfd") == NULL ||
		cJSON_AddStringToObject(o, "version", SPLITFD_VERSION) == NULL ||
		cJSON_AddStringToObject(o, "url", "") == NULL)
		return splitfd_error_oom(err);
	interfaces = cJSON_AddArrayToObject(o, "interfaces");
	for (size_t i = 0; (interface = interface_at(s, i)) != NULL; i++) {
		if (!cJSON_AddItemToArray(interfaces, cJSON_CreateString(interface->name)))
			return splitfd_error_oom(err);
	}
	return 0;
}

static int get_interface_description(struct sfd_varlink_session *s,
	const struct sfd_varlink_call *call, struct sfd_varlink_result *ret,
	struct splitfd_error *err)
{
	const struct sfd_varlink_interface *interface;
	const cJSON *name;
	const struct sfd_varlink_param params[] = {
		{ "interface", SFD_VARLINK_STRING, false, &name },
		{ NULL },
	};

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	interface = find_interface(s, name->valuestring);
	if (interface == NULL)
		return sfd_varlink_fail(ret, SFD_IFACE_SERVICE ".InterfaceNotFound", "interface",
			name->valuestring, err);
	if (cJSON_AddStringToObject(
		    sfd_varlink_object(ret), "description", interface->description) == NULL)
		return splitfd_error_oom(err);
	return 0;
}

/* "interface.Method" to the row; NULL with the result filled in where there is none. */
static sfd_varlink_method *find_method(const struct sfd_varlink_session *s, const char *method,
	const char **ret_interface, struct sfd_varlink_result *ret)
{
	const char *dot = strrchr(method, '.');
	const struct sfd_varlink_interface *interface;
	char name[NAME_MAX_LEN] = "";
	const char *error = SFD_IFACE_SERVICE ".MethodNotFound";

	if (dot == NULL) {
		(void)sfd_varlink_fail(ret, error, "method", method, NULL);
		return NULL;
	}
	if ((size_t)(dot - method) < sizeof(name))
		(void)snprintf(name, sizeof(name), "%.*s", (int)(dot - method), method);
	interface = find_interface(s, name);
	if (interface == NULL) {
		(void)sfd_varlink_fail(ret, SFD_IFACE_SERVICE ".InterfaceNotFound", "interface",
			name[0] != '\0' ? name : method, NULL);
		return NULL;
	}
	for (size_t i = 0; interface->rows[i].name != NULL; i++) {
		if (strcmp(interface->rows[i].name, dot + 1) != 0)
			continue;
		*ret_interface = interface->name;
		if (interface->rows[i].run != NULL)
			return interface->rows[i].run;
		error = SFD_IFACE_SERVICE ".MethodNotImplemented";
	}
	(void)sfd_varlink_fail(ret, error, "method", method, NULL);
	return NULL;
}

/* What went wrong in a method, in its interface's words. */
static const char *internal_error(const char *interface)
{
	if (strcmp(interface, SFD_IFACE_REPOSITORY) == 0)
		return SFD_IFACE_REPOSITORY ".InternalError";
	return SFD_IFACE_OCI ".InternalError";
}

static int send_result(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *result, struct splitfd_error *err)
{
	cJSON *parameters = result->parameters;
	int r;

	result->parameters = NULL;
	if (result->error != NULL)
		r = sfd_varlink_answer_error(s->v, call, result->error, parameters, err);
	else
		r = sfd_varlink_answer(
			s->v, call, parameters, false, result->fds, result->n_fds, err);
	return r;
}

static int handle_call(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct splitfd_error *err)
{
	struct sfd_varlink_result result = { 0 };
	const char *interface = SFD_IFACE_OCI;
	sfd_varlink_method *run = find_method(s, call->method, &interface, &result);
	struct splitfd_error why = { 0 };
	int r = 0;

	if (run != NULL)
		r = run(s, call, &result, &why);
	if (r < 0 && r != -ECONNABORTED)
		r = sfd_varlink_fail(&result, internal_error(interface), "message", why.text, &why);
	if (r == 0)
		r = send_result(s, call, &result, err);
	else
		(void)splitfd_error_copy(err, r, &why);
	if (r == -EMSGSIZE || r == -EILSEQ) {
		sfd_varlink_result_done(&result);
		r = sfd_varlink_fail(&result, internal_error(interface), "message", err->text, err);
		r = r == 0 ? send_result(s, call, &result, err) : r;
	}
	sfd_varlink_result_done(&result);
	return r;
}

/* A message that is no call. The next one may be. */
static int answer_broken(
	struct sfd_varlink_session *s, const struct splitfd_error *why, struct splitfd_error *err)
{
	static const struct sfd_varlink_call nobody = { 0 };
	struct sfd_varlink_result result = { 0 };
	int r = sfd_varlink_fail(
		&result, SFD_IFACE_SERVICE ".InvalidParameter", "parameter", why->text, err);

	if (r == 0)
		r = send_result(s, &nobody, &result, err);
	sfd_varlink_result_done(&result);
	return r;
}

static int serve_calls(struct sfd_varlink_session *s, struct splitfd_error *err)
{
	for (;;) {
		struct sfd_varlink_call call;
		struct splitfd_error why = { 0 };
		int r;

		sfd_client_waits(s->client, true);
		r = sfd_varlink_next_call(s->v, &call, &why);
		sfd_client_waits(s->client, false);
		if (r > 0) {
			r = handle_call(s, &call, err);
		} else if (r == -EBADMSG || r == -EMSGSIZE) {
			int sent = answer_broken(s, &why, err);

			/* Only behind a message's end can the next one be found. */
			r = r == -EBADMSG ? sent : r;
		} else if (r == 0) {
			sfd_varlink_call_done(&call);
			return 0;
		}
		sfd_varlink_call_done(&call);
		if (r < 0)
			return why.errnum != 0 ? splitfd_error_copy(err, r, &why) : r;
	}
}

int sfd_varlink_serve(const struct sfd_serve_settings *settings, struct sfd_varlink_shared *shared,
	bool layers_only, struct splitfd_store *store, struct splitfd_image *image, int socket,
	struct sfd_client *client, struct splitfd_error *err)
{
	const struct sfd_varlink_options options = { .message_max = MESSAGE_MAX,
		.values_max = VALUES_MAX,
		.idle_ms = settings->idle_ms,
		.timeout_ms = settings->timeout_ms,
		.cancel_fd = settings->cancel_fd };
	sfd_cleanup_varlink struct sfd_varlink *v = NULL;
	/* A call's work ends with its client. What the client has sent is read to its end. */
	struct sfd_serve_settings of_calls = *settings;
	struct sfd_varlink_session session = { .settings = &of_calls,
		.shared = shared,
		.client = client,
		.layers_only = layers_only,
		.store = store,
		.image = image };
	int r = sfd_varlink_new(socket, &options, &v, err);

	if (r < 0)
		return r;
	session.v = v;
	if (client != NULL) {
		of_calls.cancel = &sfd_client_stop(client)->flag;
		of_calls.cancel_fd = sfd_client_stop(client)->fd;
	}
	r = serve_calls(&session, err);
	splitfd_repository_close(session.repository);
	return r;
}

/* The protocol of `splitfd serve`. */
struct service {
	const struct sfd_serve_settings *settings;
	struct sfd_varlink_shared shared;
};

static int service_open(
	const struct sfd_serve_settings *settings, void **ret, struct splitfd_error *err)
{
	const struct sfd_senders_options options = { .max = settings->max_layers,
		.timeout_ms = settings->timeout_ms,
		.hold_ms = settings->hold_ms,
		.cancel_fd = settings->cancel_fd };
	struct service *service = calloc(1, sizeof(*service));
	int r;

	if (service == NULL)
		return splitfd_error_oom(err);
	service->settings = settings;
	sfd_worker_budget_init(&service->shared.workers, sfd_import_auto_jobs());
	sfd_varlink_handles_init(&service->shared.handles);
	r = sfd_senders_new(&options, &service->shared.senders, err);
	if (r < 0) {
		sfd_varlink_handles_done(&service->shared.handles);
		free(service);
		return r;
	}
	*ret = service;
	return 0;
}

static int service_handle(
	void *ctx, int socket, struct sfd_client *client, struct splitfd_error *err)
{
	struct service *service = ctx;

	return sfd_varlink_serve(
		service->settings, &service->shared, false, NULL, NULL, socket, client, err);
}

static void service_refuse(int socket)
{
	static const char text[] = "{\"error\":\"" SFD_IFACE_SERVICE
				   ".PermissionDenied\",\"parameters\":{}}";
	ssize_t r = send(socket, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)r; /* it is turned away with or without a word */
}

static void service_close(void *ctx)
{
	struct service *service = ctx;

	sfd_senders_free(service->shared.senders);
	sfd_varlink_handles_done(&service->shared.handles);
	free(service);
}

extern const struct sfd_serve_protocol sfd_protocol_varlink;

const struct sfd_serve_protocol sfd_protocol_varlink = {
	.name = "varlink",
	.open = service_open,
	.handle = service_handle,
	.refuse = service_refuse,
	.close = service_close,
};
