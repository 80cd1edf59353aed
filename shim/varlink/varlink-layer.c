/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-layer.h"
#include "splitfdstream/base/fd.h"

bool sfd_varlink_get_layer_params(const struct sfd_varlink_call *call,
	struct sfd_varlink_get_layer *ret, struct sfd_varlink_result *result)
{
	const cJSON *handle, *inner, *diff_id, *storage, *reads_all, *path, *id;
	const struct sfd_varlink_param outer_params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "params", SFD_VARLINK_OBJECT, false, &inner },
		{ NULL },
	};
	const struct sfd_varlink_param inner_params[] = {
		{ "diff_id", SFD_VARLINK_STRING, true, &diff_id },
		{ "storage", SFD_VARLINK_OBJECT, true, &storage },
		{ "consumer_has_cap_dac_override", SFD_VARLINK_BOOL, true, &reads_all },
		{ NULL },
	};
	const struct sfd_varlink_param storage_params[] = {
		{ "storage_path", SFD_VARLINK_STRING, false, &path },
		{ "layer_id", SFD_VARLINK_STRING, false, &id },
		{ NULL },
	};

	if (!sfd_varlink_params(call->parameters, outer_params, result) ||
		!sfd_varlink_params(inner, inner_params, result))
		return false;
	*ret = (struct sfd_varlink_get_layer){
		.diff_id = cJSON_GetStringValue(diff_id),
		.reads_all = cJSON_IsTrue(reads_all),
	};
	if (storage == NULL)
		return true;
	if (!sfd_varlink_params(storage, storage_params, result))
		return false;
	ret->storage_path = cJSON_GetStringValue(path);
	ret->layer_id = cJSON_GetStringValue(id);
	return true;
}

int sfd_varlink_send_layer(struct sfd_varlink_session *s, struct sfd_layer_to_send *layer,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_sent_layer sent;
	int r;

	layer->client = s->client;
	r = sfd_senders_start(s->shared->senders, layer, &sent, err);
	if (r < 0)
		return r;
	/* Few enough for one frame, whatever the layer: stream, directories, keepalive. */
	_Static_assert(SFD_SENT_DIRS_MAX + 2 <= SFD_VARLINK_FDS_MAX, "a layer fits into a frame");
	ret->fds[ret->n_fds++] = sent.stream;
	for (size_t i = 0; i < sent.n_dirs; i++)
		ret->fds[ret->n_fds++] = sent.dirs[i];
	ret->fds[ret->n_fds++] = sent.keepalive;
	if (cJSON_AddNumberToObject(sfd_varlink_object(ret), "dir_count", (double)sent.n_dirs) ==
		NULL)
		return splitfd_error_oom(err);
	return 0;
}
