/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/copy/push.h"
#include "transport/copy/push-layer.h"
#include "transport/copy/push-report.h"
#include "transport/copy/reference.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "transport/oci/oci-json.h"
#include "transport/composefs/images/tags.h"
#include "transport/rpc/peer-rights.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

struct push {
	struct sfd_push_options *options;
	struct sfd_origin origin;
	struct sfd_varlink *connection;
	struct sfd_push_service service;
	char path[PATH_MAX];			     /* the repository, absolute */
	char objects[PATH_MAX + sizeof("/objects")]; /* its objects, as we see it */
	struct sfd_oci_layer_ref *layers;
	struct sfd_oci_image_text image;
	char *converted; /* the manifest, where it is not the origin's own */
	struct sfd_push_report *report;
};

/* The service's working directory is not ours. */
static int absolute_path(struct push *p, struct splitfd_error *err)
{
	int r = sfd_repo_absolute(p->options->repository, p->path, err);

	if (r == 0)
		(void)snprintf(p->objects, sizeof(p->objects), "%s/objects", p->path);
	return r;
}

static int connect_service(struct push *p, struct splitfd_error *err)
{
	const struct sfd_varlink_options options = { .idle_ms = sfd_timeout_ms(p->options->timeout),
		.timeout_ms = sfd_timeout_ms(p->options->timeout),
		.cancel_fd = p->origin.cancel_fd };
	struct sfd_oci_selector selector = { .path = p->path };
	struct sfd_oci_repository opened;
	struct sfd_peer_rights rights;
	int r = absolute_path(p, err);

	if (r == 0)
		r = sfd_varlink_connect(p->options->to, &options, &p->connection, err);
	if (r < 0)
		return r;
	/* These two mean the service's own, whoever runs it. */
	if (p->options->user || p->options->system)
		selector = (struct sfd_oci_selector){ .user = p->options->user,
			.system = p->options->system };
	r = sfd_oci_call_open(p->connection, &selector, &opened, err);
	if (r < 0)
		return r;
	sfd_peer_rights(sfd_varlink_socket(p->connection), &rights);
	p->service = (struct sfd_push_service){ .connection = p->connection,
		.handle = opened.handle,
		.zerocopy = p->options->zerocopy,
		.timeout_ms = sfd_timeout_ms(p->options->timeout),
		.stop = p->options->origin.stop,
		.listener = p->options->listener,
		.target = { .reads_ours = rights.peer_reads_ours,
			.may_link = p->origin.repository != NULL,
			.has_device = opened.has_device,
			.device = opened.device,
			.objects = p->objects } };
	return 0;
}

/* Manifest and config, docker's as an OCI one: what a pull would store. */
static int read_image(struct push *p, struct splitfd_error *err)
{
	struct sfd_oci_image_text *t = &p->image;
	size_t size = 0;
	int r;

	if (p->origin.image != NULL) {
		t->manifest = splitfd_image_manifest(p->origin.image, &t->manifest_size);
		t->config = splitfd_image_config(p->origin.image, &t->config_size);
	} else if (p->origin.repository != NULL) {
		t->manifest = p->origin.stored.manifest.json;
		t->manifest_size = p->origin.stored.manifest.size;
		t->config = p->origin.stored.config.json;
		t->config_size = p->origin.stored.config.size;
	} else {
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"a tar has no manifest; 'splitfd import-layer' takes it");
	}
	r = sfd_oci_convert_docker(t->manifest, t->manifest_size, &p->converted, &size, err);
	if (r > 0) {
		t->manifest = p->converted;
		t->manifest_size = size;
	}
	return r < 0 ? r : 0;
}

/* The service opens the files by name, so that what has changed in the store is found there first,
 * and it cannot tell which file that is. */
static int explain(struct push *p, size_t i, int answer, struct splitfd_error *err)
{
	struct splitfd_source *source = NULL;
	struct splitfd_error fault;
	int r = sfd_origin_layer(&p->origin, i, &source, &fault);

	if (r == 0)
		r = sfd_push_layer_fault(&p->service, p->layers[i].diff_id, source, &fault);
	if (r == 0)
		return answer;
	return splitfd_error_copy(err, r, &fault);
}

static void notify(const struct push *p, enum sfd_copy_event_kind kind, size_t i, uint64_t total)
{
	sfd_copy_notify(p->options->listener,
		&(struct sfd_copy_event){
			.kind = kind, .layer = i, .id = p->layers[i].diff_id, .total = total });
}

static int send_layer(struct push *p, size_t i, struct splitfd_error *err)
{
	const char *diff_id = p->layers[i].diff_id;
	struct splitfd_source *source = NULL;
	struct sfd_push_sent sent = { 0 };
	struct sfd_oci_put put = { 0 };
	uint64_t total = p->origin.image != NULL ? splitfd_image_layer(p->origin.image, i)->size
						 : UINT64_MAX;
	int r = sfd_origin_layer(&p->origin, i, &source, err);

	if (r < 0)
		return r;
	notify(p, SFD_COPY_LAYER, i, total);
	notify(p, SFD_COPY_STARTED, i, total);
	r = sfd_push_layer(&p->service, diff_id, source, i, total, &put, &sent, err);
	if (r == -EREMOTEIO)
		return explain(p, i, r, err);
	if (r < 0)
		return r;
	notify(p, SFD_COPY_STORED, i, total);
	memcpy(p->layers[i].verity, put.verity, sizeof(put.verity));
	sfd_push_report_layer(p->report, &put, &sent);
	return 0;
}

/* Asks right before it sends: PutLayer replaces the stream of a layer that is there, and a stream
 * that others refer to must stay (the service's garbage collection goes by its digest). */
static int push_layer(struct push *p, size_t i, struct splitfd_error *err)
{
	struct sfd_oci_layer_ref *layer = &p->layers[i];
	int r;

	for (size_t j = 0; j < i; j++) {
		if (strcmp(p->layers[j].diff_id, layer->diff_id) == 0) {
			memcpy(layer->verity, p->layers[j].verity, sizeof(layer->verity));
			return 0;
		}
	}
	r = sfd_oci_call_has_layer(
		p->connection, p->service.handle, layer->diff_id, layer->verity, err);
	if (r > 0) {
		p->report->layers_present++;
		notify(p, SFD_COPY_SKIPPED, i, 0);
	}
	return r == 0 ? send_layer(p, i, err) : r > 0 ? 0 : r;
}

static int push_layers(struct push *p, struct splitfd_error *err)
{
	size_t n = p->origin.n_layers;

	p->layers = calloc(n + 1, sizeof(*p->layers));
	if (p->layers == NULL)
		return splitfd_error_oom(err);
	sfd_copy_notify(p->options->listener,
		&(struct sfd_copy_event){ .kind = SFD_COPY_BEGIN, .total = n });
	for (size_t i = 0; i < n; i++) {
		int r;

		p->layers[i].diff_id = sfd_origin_diff_id(&p->origin, i);
		r = push_layer(p, i, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "layer %s", p->layers[i].diff_id);
	}
	return 0;
}

static int finalize(struct push *p, struct splitfd_error *err)
{
	return sfd_oci_call_finalize(p->connection, p->service.handle, &p->image, p->layers,
		p->origin.n_layers, p->report->tag, &p->report->final, err);
}

/* cfsctl's service takes any name, also one that nobody can ask for afterwards. */
static int check_tag(struct push *p, struct splitfd_error *err)
{
	sfd_cleanup_free char *name = NULL;

	p->report->tag = p->options->name != NULL ? p->options->name : p->options->reference;
	return sfd_tag_name(p->report->tag, &name, err);
}

static int run(struct push *p, struct splitfd_error *err)
{
	int r = check_tag(p, err);

	if (r == 0)
		r = sfd_origin_open(&p->options->origin, p->options->reference, &p->origin, err);
	if (r == 0)
		r = read_image(p, err);
	if (r < 0)
		return r;
	r = connect_service(p, err);
	if (r == 0) {
		r = push_layers(p, err);
		if (r == 0)
			r = finalize(p, err);
		sfd_oci_call_close(p->connection, p->service.handle, r == 0);
	}
	sfd_copy_notify(p->options->listener, &(struct sfd_copy_event){ .kind = SFD_COPY_END });
	if (r < 0)
		return splitfd_error_wrap(err, r, "service %s", p->options->to);
	return 0;
}

int sfd_push(
	struct sfd_push_options *options, struct sfd_push_report *ret, struct splitfd_error *err)
{
	struct push p = { .options = options, .report = ret };
	int r;

	*ret = (struct sfd_push_report){ 0 };
	r = run(&p, err);

	sfd_varlink_free(p.connection);
	sfd_origin_done(&p.origin);
	free(p.layers);
	free(p.converted);
	return r;
}
