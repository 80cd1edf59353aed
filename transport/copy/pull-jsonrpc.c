/* SPDX-License-Identifier: Apache-2.0 */
/* A pull from a service of container-libs' JSON-RPC dialect. */
#include "transport/copy/pull.h"
#include "transport/copy/needs.h"
#include "transport/copy/reference.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/clock.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/splitfdstream-reader.h"
#include "transport/oci/oci-json.h"
#include "transport/composefs/repository-private.h"
#include "transport/json/json-member.h"
#include "transport/rpc/jsonrpc.h"
#include "transport/rpc/peer-rights.h"
#include "transport/tar/tar-source.h"

#include <cjson/cJSON.h>
#include <string.h>

#define INEXACT                                                                                    \
	"the server's stream is not exactly the layer's tar (container-libs' JSON-RPC server of "  \
	"pull request 651 has no exact ones)"

/* Two documents of 4 MiB, which are container-libs' own bound, where every byte is escaped. */
#define MESSAGE_MAX ((size_t)48 * 1024 * 1024)
/* What a stream can refer to at most. */
#define FDS_MAX ((uint64_t)UINT32_MAX)
/* Content of a file that came within the stream and is taken in memory. */
#define CONTENT_IN_MEMORY ((size_t)64 * 1024)

SFD_DEFINE_CLEANUP(cleanup_source, struct splitfd_source, splitfd_source_free);

struct image {
	struct sfd_jsonrpc *c;
	struct sfd_jsonrpc_message answer; /* to GetImage; owns what follows */
	const char *manifest, *config;
	const cJSON *layer_ids; /* the top first */
	struct sfd_oci_config facts;
};

static void image_done(struct image *image)
{
	sfd_oci_config_done(&image->facts);
	sfd_jsonrpc_message_done(&image->answer);
	image->c = sfd_jsonrpc_free(image->c);
}

static int connect_to(const struct sfd_pull_options *o, int cancel_fd, struct image *image,
	const char **ret_name, struct splitfd_error *err)
{
	const struct sfd_jsonrpc_options options = { .message_max = MESSAGE_MAX,
		.fds_max = FDS_MAX,
		.idle_ms = sfd_timeout_ms(o->timeout),
		.timeout_ms = sfd_timeout_ms(o->timeout),
		.cancel_fd = cancel_fd };
	sfd_cleanup_free char *socket = NULL;
	int r = sfd_service_reference(o->reference, &socket, ret_name, err);

	return r < 0 ? r : sfd_jsonrpc_connect(socket, &options, &image->c, err);
}

/* A call with one parameter. */
static int call(struct image *image, const char *method, const char *name, const char *value,
	struct sfd_jsonrpc_message *ret, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *params = cJSON_CreateObject();

	*ret = (struct sfd_jsonrpc_message){ 0 };
	if (cJSON_AddStringToObject(params, name, value) == NULL)
		return splitfd_error_oom(err);
	return sfd_jsonrpc_call(image->c, method, sfd_take_ptr(&params), ret, err);
}

static int refused(struct splitfd_error *err, const char *what)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the service's answer cannot be right: %s", what);
}

static int check_digest(
	const char *what, const char *text, const char *want, struct splitfd_error *err)
{
	char digest[72];
	int r = splitfd_sha256_text(text, strlen(text), digest, err);

	if (r < 0)
		return r;
	if (strcmp(digest, want) == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the service gives a %s with the digest %s instead of %s", what, digest, want);
}

static int check_documents(struct image *image, const char *name, struct splitfd_error *err)
{
	sfd_cleanup(sfd_oci_manifest_done) struct sfd_oci_manifest manifest = { 0 };
	const char *at = strrchr(name, '@');
	int r = 0;

	if (at != NULL && sfd_parse_sha256(at + 1, NULL))
		r = check_digest("manifest", image->manifest, at + 1, err);
	if (r == 0)
		r = sfd_oci_manifest_parse(
			image->manifest, strlen(image->manifest), SFD_OCI_STORE, &manifest, err);
	if (r == 0)
		r = check_digest("config", image->config, manifest.config_digest, err);
	if (r == 0)
		r = sfd_oci_config_parse(
			image->config, strlen(image->config), SFD_OCI_STORE, &image->facts, err);
	if (r == 0 && (size_t)cJSON_GetArraySize(image->layer_ids) != image->facts.n_diff_ids)
		r = refused(err, "it has not as many layers as the config");
	return r;
}

static int get_image(struct image *image, const char *name, struct splitfd_error *err)
{
	const cJSON *result, *id;
	int r = call(image, "GetImage", "imageId", name, &image->answer, err);

	if (r < 0)
		return r;
	result = image->answer.result;
	image->manifest = sfd_member_text(result, "manifest");
	image->config = sfd_member_text(result, "config");
	image->layer_ids = cJSON_GetObjectItemCaseSensitive(result, "layerDigests");
	if (image->manifest == NULL || image->config == NULL)
		return refused(err, "GetImage has no manifest or no config");
	if (!cJSON_IsArray(image->layer_ids) && !cJSON_IsNull(image->layer_ids))
		return refused(err, "GetImage has no layerDigests");
	cJSON_ArrayForEach (id, image->layer_ids) {
		if (!cJSON_IsString(id))
			return refused(err, "one of the layerDigests is not a string");
	}
	return check_documents(image, name, err);
}

static int stream_size(
	const struct sfd_jsonrpc_message *answer, uint64_t *ret, struct splitfd_error *err)
{
	if (!sfd_member_u64(answer->result, "streamSize", ret))
		return refused(err, "GetSplitFDStream has no streamSize");
	return 0;
}

/* The layer with this ID of the service's storage as a source of chunks, cut as the tar says. */
static int open_layer(struct image *image, const char *id, int spool_dir,
	struct splitfd_source **ret, struct splitfd_error *err)
{
	const struct sfd_tar_source_options options = {
		.inline_content_max = CONTENT_IN_MEMORY,
		.spool_dir = spool_dir,
	};
	sfd_cleanup(sfd_jsonrpc_message_done) struct sfd_jsonrpc_message answer = { 0 };
	struct splitfd_source *wire = NULL;
	struct splitfd_input *input = NULL;
	uint64_t size = 0;
	int r = call(image, "GetSplitFDStream", "layerId", id, &answer, err);

	if (r == 0)
		r = stream_size(&answer, &size, err);
	if (r == 0)
		r = sfd_jsonrpc_input_new(image->c, answer.n_fds, size, &input, err);
	if (r == 0)
		r = splitfd_splitfdstream_reader_new(input, &wire, err);
	return r < 0 ? r : sfd_tar_source_new(wire, &options, ret, err);
}

static int pull_layer(
	struct sfd_pull *pull, struct image *image, size_t i, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_source) struct splitfd_source *source = NULL;
	int from_top = (int)(image->facts.n_diff_ids - 1 - i);
	const cJSON *id = cJSON_GetArrayItem(image->layer_ids, from_top);
	struct splitfd_sink *sink = NULL;
	int r = sfd_pull_layer_sink(pull, i, UINT64_MAX, &sink, err);

	if (r < 0 || sink == NULL)
		return r;
	r = open_layer(image, id->valuestring, sfd_pull_repository(pull)->fd, &source, err);
	if (r < 0)
		return r;
	r = sfd_pull_feed(pull, i, source, err);
	return r == -EBADMSG ? splitfd_error_wrap(err, r, INEXACT) : r;
}

static int pull_image(struct sfd_pull *pull, struct image *image, struct splitfd_error *err)
{
	const struct sfd_oci_config *facts = &image->facts;
	int r = sfd_pull_begin(pull, image->manifest, strlen(image->manifest), image->config,
		strlen(image->config), (const char *const *)facts->diff_ids, facts->n_diff_ids,
		err);

	for (size_t i = 0; r == 0 && i < facts->n_diff_ids; i++) {
		r = pull_layer(pull, image, i, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "layer %s", facts->diff_ids[i]);
	}
	return r;
}

int sfd_pull_from_jsonrpc(struct sfd_pull *pull, struct splitfd_error *err)
{
	const struct sfd_pull_options *o = sfd_pull_get_options(pull);
	sfd_cleanup(image_done) struct image image = { 0 };
	const char *name = "";
	int r = connect_to(o, sfd_pull_cancel_fd(pull), &image, &name, err);

	/* What another process gives is never taken at its word. */
	sfd_pull_verify_diff_ids(pull);
	sfd_pull_blame(pull, INEXACT);
	if (r == 0 && !sfd_peer_is_own(sfd_jsonrpc_socket(image.c)))
		sfd_pull_other_writers(pull);
	sfd_announce_needs(o->confine,
		&(struct sfd_needs){ .repository = sfd_pull_repository(pull), .objects = -EBADF });
	if (r == 0)
		r = get_image(&image, name, err);
	if (r == 0)
		r = pull_image(pull, &image, err);
	return r < 0 ? splitfd_error_wrap(err, r, "'%s'", o->reference) : 0;
}
