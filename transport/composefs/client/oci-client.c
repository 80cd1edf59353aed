/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/client/oci-client.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "transport/composefs/client/oci-client-private.h"
#include "transport/json/json-member.h"

#include <errno.h>
#include <string.h>

#define OPEN_REPOSITORY "org.composefs.Repository.OpenRepository"

int sfd_oci_bad_reply(struct splitfd_error *err, const char *method, const char *member)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"%s: the service's answer has no proper \"%s\"", method, member);
}

static const cJSON *member(const cJSON *parameters, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(parameters, name);
}

/* Absent and null count as false. */
static bool get_bool(const cJSON *parameters, const char *name, bool *ret)
{
	const cJSON *item = member(parameters, name);

	*ret = cJSON_IsTrue(item);
	return item == NULL || cJSON_IsNull(item) || cJSON_IsBool(item);
}

static bool get_verity(const cJSON *parameters, const char *name, char ret[SFD_OCI_VERITY_SIZE])
{
	const char *text = sfd_member_text(parameters, name);
	size_t len = text != NULL ? strlen(text) : 0;
	uint8_t bytes[64];

	if ((len != 64 && len != 128) || !sfd_hex_decode(text, len / 2, bytes))
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

static bool get_digest(const cJSON *parameters, const char *name, char ret[72])
{
	const char *text = sfd_member_text(parameters, name);

	if (text == NULL || !sfd_parse_sha256(text, NULL))
		return false;
	memcpy(ret, text, 72);
	return true;
}

bool sfd_oci_add_u64(cJSON *object, const char *name, uint64_t value)
{
	return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static int open_result(
	const cJSON *parameters, struct sfd_oci_repository *ret, struct splitfd_error *err)
{
	uint64_t device;

	if (!sfd_member_u64(parameters, "handle", &ret->handle))
		return sfd_oci_bad_reply(err, OPEN_REPOSITORY, "handle");
	ret->has_device = sfd_member_u64(parameters, "objects_device_id", &device);
	ret->device = ret->has_device ? (dev_t)device : 0;
	return 0;
}

int sfd_oci_call_open(struct sfd_varlink *v, const struct sfd_oci_selector *selector,
	struct sfd_oci_repository *ret, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *parameters = cJSON_CreateObject();
	struct sfd_varlink_reply reply;
	const cJSON *good;
	int r;

	if (selector->path != NULL)
		good = cJSON_AddStringToObject(parameters, "path", selector->path);
	else
		good = cJSON_AddTrueToObject(parameters, selector->user ? "user" : "system");
	if (good == NULL)
		return splitfd_error_oom(err);
	r = sfd_varlink_call_simple(
		v, OPEN_REPOSITORY, sfd_take_ptr(&parameters), NULL, 0, &reply, err);
	if (r == 0)
		r = open_result(reply.parameters, ret, err);
	sfd_varlink_reply_done(&reply);
	return r;
}

void sfd_oci_call_close(struct sfd_varlink *v, uint64_t handle, bool wait)
{
	static const char method[] = "org.composefs.Repository.CloseRepository";
	sfd_cleanup_json cJSON *parameters = cJSON_CreateObject();
	struct sfd_varlink_reply reply = { 0 };

	if (!sfd_oci_add_u64(parameters, "handle", handle))
		return;
	if (sfd_varlink_call(v, method, sfd_take_ptr(&parameters), 0, NULL, 0, NULL) == 0 && wait)
		(void)sfd_varlink_reply(v, &reply, NULL);
	sfd_varlink_reply_done(&reply);
}

int sfd_oci_call_has_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	char verity[SFD_OCI_VERITY_SIZE], struct splitfd_error *err)
{
	static const char method[] = "org.composefs.Oci.HasLayer";
	sfd_cleanup_json cJSON *parameters = cJSON_CreateObject();
	struct sfd_varlink_reply reply;
	const cJSON *present;
	int r;

	if (!sfd_oci_add_u64(parameters, "handle", handle) ||
		cJSON_AddStringToObject(parameters, "diff_id", diff_id) == NULL)
		return splitfd_error_oom(err);
	r = sfd_varlink_call_simple(v, method, sfd_take_ptr(&parameters), NULL, 0, &reply, err);
	present = r == 0 ? member(reply.parameters, "present") : NULL;
	if (r == 0 && !cJSON_IsBool(present))
		r = sfd_oci_bad_reply(err, method, "present");
	if (r == 0 && cJSON_IsTrue(present))
		r = get_verity(reply.parameters, "layer_verity", verity)
			    ? 1
			    : sfd_oci_bad_reply(err, method, "layer_verity");
	sfd_varlink_reply_done(&reply);
	return r;
}

#define PUT_LAYER "org.composefs.Oci.PutLayer"

int sfd_oci_call_put_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	bool zerocopy, const int *fds, size_t n_fds, struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *parameters = cJSON_CreateObject();

	if (!sfd_oci_add_u64(parameters, "handle", handle) ||
		cJSON_AddStringToObject(parameters, "diff_id", diff_id) == NULL ||
		cJSON_AddBoolToObject(parameters, "zerocopy", zerocopy) == NULL)
		return splitfd_error_oom(err);
	return sfd_varlink_call(v, PUT_LAYER, sfd_take_ptr(&parameters), 0, fds, n_fds, err);
}

/* Counts are for the report only: who does not count says nothing. */
static uint64_t count(const cJSON *parameters, const char *name)
{
	uint64_t value;

	return sfd_member_u64(parameters, name, &value) ? value : 0;
}

int sfd_oci_put_layer_result(
	struct sfd_varlink *v, struct sfd_oci_put *ret, struct splitfd_error *err)
{
	struct sfd_varlink_reply reply = { 0 };
	int r = sfd_varlink_reply(v, &reply, err);

	if (r == 0)
		r = sfd_varlink_reply_check(&reply, PUT_LAYER, err);
	if (r == 0 && !get_verity(reply.parameters, "layer_verity", ret->verity))
		r = sfd_oci_bad_reply(err, PUT_LAYER, "layer_verity");
	if (r == 0 && !get_bool(reply.parameters, "already_present", &ret->already_present))
		r = sfd_oci_bad_reply(err, PUT_LAYER, "already_present");
	if (r == 0) {
		ret->reflinked = count(reply.parameters, "objects_reflinked");
		ret->hardlinked = count(reply.parameters, "objects_hardlinked");
		ret->copied = count(reply.parameters, "objects_copied");
		ret->present = count(reply.parameters, "objects_already_present");
	}
	sfd_varlink_reply_done(&reply);
	return r;
}

static cJSON *layer_list(const struct sfd_oci_layer_ref *layers, size_t n)
{
	sfd_cleanup_json cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++) {
		cJSON *layer = cJSON_CreateObject();

		if (cJSON_AddStringToObject(layer, "diff_id", layers[i].diff_id) == NULL ||
			cJSON_AddStringToObject(layer, "layer_verity", layers[i].verity) == NULL ||
			!cJSON_AddItemToArray(list, layer)) {
			cJSON_Delete(layer);
			return NULL;
		}
	}
	return sfd_take_ptr(&list);
}

static int finalize_parameters(uint64_t handle, const struct sfd_oci_image_text *image,
	const struct sfd_oci_layer_ref *layers, size_t n_layers, const char *name, cJSON **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *p = cJSON_CreateObject();
	cJSON *list = layer_list(layers, n_layers);

	if (list == NULL || !cJSON_AddItemToObject(p, "layers", list)) {
		cJSON_Delete(list);
		return splitfd_error_oom(err);
	}
	if (!sfd_oci_add_u64(p, "handle", handle) ||
		cJSON_AddStringToObject(p, "manifest_json", image->manifest) == NULL ||
		cJSON_AddStringToObject(p, "config_json", image->config) == NULL ||
		(name != NULL && cJSON_AddStringToObject(p, "name", name) == NULL))
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&p);
	return 0;
}

/* What the service stored has to be what was sent. */
static int check_digest(const char *data, size_t size, const char *digest, const char *what,
	struct splitfd_error *err)
{
	char ours[72];
	int r = splitfd_sha256_text(data, size, ours, err);

	if (r < 0)
		return r;
	if (strcmp(ours, digest) == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"the service stored the %s as %s, but it is %s", what, digest, ours);
}

static int finalize_result(const cJSON *p, const char *method,
	const struct sfd_oci_image_text *image, struct sfd_oci_final *ret,
	struct splitfd_error *err)
{
	int r;

	if (!get_digest(p, "manifest_digest", ret->manifest_digest))
		return sfd_oci_bad_reply(err, method, "manifest_digest");
	if (!get_digest(p, "config_digest", ret->config_digest))
		return sfd_oci_bad_reply(err, method, "config_digest");
	if (!get_verity(p, "manifest_verity", ret->manifest_verity))
		return sfd_oci_bad_reply(err, method, "manifest_verity");
	if (!get_verity(p, "config_verity", ret->config_verity))
		return sfd_oci_bad_reply(err, method, "config_verity");
	r = check_digest(
		image->manifest, image->manifest_size, ret->manifest_digest, "manifest", err);
	return r < 0 ? r
		     : check_digest(image->config, image->config_size, ret->config_digest, "config",
			       err);
}

static int check_text(const char *text, size_t size, const char *what, struct splitfd_error *err)
{
	if (strlen(text) == size && sfd_utf8_valid(text, size))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EILSEQ,
		"the %s is not UTF-8 without NULs: its exact bytes cannot be given to a service",
		what);
}

int sfd_oci_call_finalize(struct sfd_varlink *v, uint64_t handle,
	const struct sfd_oci_image_text *image, const struct sfd_oci_layer_ref *layers,
	size_t n_layers, const char *name, struct sfd_oci_final *ret, struct splitfd_error *err)
{
	static const char method[] = "org.composefs.Oci.FinalizeImage";
	struct sfd_varlink_reply reply;
	cJSON *parameters = NULL;
	int r = check_text(image->manifest, image->manifest_size, "manifest", err);

	if (r == 0)
		r = check_text(image->config, image->config_size, "config", err);
	if (r == 0)
		r = finalize_parameters(handle, image, layers, n_layers, name, &parameters, err);
	if (r < 0)
		return r;
	r = sfd_varlink_call_simple(v, method, parameters, NULL, 0, &reply, err);
	if (r == 0)
		r = finalize_result(reply.parameters, method, image, ret, err);
	sfd_varlink_reply_done(&reply);
	return r;
}

/* A copy of a member that is a string with something in it. */
static int copy_string(const cJSON *parameters, const char *method, const char *name, char **ret,
	struct splitfd_error *err)
{
	const char *text = sfd_member_text(parameters, name);

	if (text == NULL || text[0] == '\0')
		return sfd_oci_bad_reply(err, method, name);
	*ret = strdup(text);
	return *ret != NULL ? 0 : splitfd_error_oom(err);
}

int sfd_oci_call_inspect(struct sfd_varlink *v, uint64_t handle, const char *image,
	char **ret_manifest, char **ret_config, struct splitfd_error *err)
{
	static const char method[] = "org.composefs.Oci.Inspect";
	sfd_cleanup_json cJSON *parameters = cJSON_CreateObject();
	sfd_cleanup_free char *manifest = NULL, *config = NULL;
	struct sfd_varlink_reply reply;
	int r;

	if (!sfd_oci_add_u64(parameters, "handle", handle) ||
		cJSON_AddStringToObject(parameters, "image", image) == NULL)
		return splitfd_error_oom(err);
	r = sfd_varlink_call_simple(v, method, sfd_take_ptr(&parameters), NULL, 0, &reply, err);
	if (r == 0)
		r = copy_string(reply.parameters, method, "manifest", &manifest, err);
	if (r == 0)
		r = copy_string(reply.parameters, method, "config", &config, err);
	sfd_varlink_reply_done(&reply);
	if (r < 0)
		return r;
	*ret_manifest = sfd_take_ptr(&manifest);
	*ret_config = sfd_take_ptr(&config);
	return 0;
}
