/* SPDX-License-Identifier: Apache-2.0 */
/* GetLayer: several replies, each with some of the descriptors. */
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/client/oci-client-private.h"
#include "transport/composefs/client/oci-client.h"
#include "transport/json/json-member.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define GET_LAYER "org.composefs.Oci.GetLayer"

/* Directories of a layer are few hundred at most (overlay's longest chain); a service may put
 * others between them. */
#define DIRS_MAX  4096
#define OTHER_MAX 64

static int refuse(struct splitfd_error *err, const char *why)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG, GET_LAYER ": %s", why);
}

static int get_layer_parameters(uint64_t handle, const char *diff_id, bool reads_all, cJSON **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_json cJSON *p = cJSON_CreateObject();
	cJSON *which = cJSON_AddObjectToObject(p, "params");

	if (!sfd_oci_add_u64(p, "handle", handle) ||
		cJSON_AddStringToObject(which, "diff_id", diff_id) == NULL ||
		cJSON_AddBoolToObject(which, "consumer_has_cap_dac_override", reads_all) == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&p);
	return 0;
}

static int take_fds(
	struct sfd_varlink_message *m, struct sfd_oci_layer *layer, struct splitfd_error *err)
{
	int *fds;

	if (m->n_fds == 0)
		return 0;
	if (layer->n_fds + m->n_fds > DIRS_MAX + OTHER_MAX)
		return refuse(err, "the service sends too many descriptors");
	fds = reallocarray(layer->fds, layer->n_fds + m->n_fds, sizeof(*fds));
	if (fds == NULL)
		return splitfd_error_oom(err);
	layer->fds = fds;
	for (size_t i = 0; i < m->n_fds; i++)
		fds[layer->n_fds++] = sfd_take_fd(&m->fds[i]);
	return 0;
}

/* One reply; *first is true for the first. 1 where more follow. */
static int next_frame(
	struct sfd_varlink *v, bool *first, struct sfd_oci_layer *layer, struct splitfd_error *err)
{
	struct sfd_varlink_reply reply = { 0 };
	uint64_t n_dirs = 0;
	int r = sfd_varlink_reply(v, &reply, err);

	if (r == 0)
		r = sfd_varlink_reply_check(&reply, GET_LAYER, err);
	if (r == 0 &&
		(!sfd_member_u64(reply.parameters, "dir_count", &n_dirs) || n_dirs > DIRS_MAX))
		r = sfd_oci_bad_reply(err, GET_LAYER, "dir_count");
	if (r == 0 && !*first && n_dirs != layer->n_dirs)
		r = refuse(err, "the number of directories changes from answer to answer");
	/* Else a service could go on for ever. */
	if (r == 0 && reply.continues && reply.message.n_fds == 0)
		r = refuse(err, "an answer in between brings no descriptor");
	if (r == 0)
		r = take_fds(&reply.message, layer, err);
	layer->n_dirs = (size_t)n_dirs;
	*first = false;
	if (r == 0)
		r = reply.continues;
	sfd_varlink_reply_done(&reply);
	return r;
}

/* The stream has an end: a device could give bytes for ever. */
static int check_stream(int fd, struct splitfd_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return splitfd_error_sys(err, errno, "cannot look at the layer's stream");
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	return refuse(err, "the stream is not a pipe, socket or file");
}

int sfd_oci_call_get_layer(struct sfd_varlink *v, uint64_t handle, const char *diff_id,
	bool reads_all, struct sfd_oci_layer *ret, struct splitfd_error *err)
{
	bool first = true;
	cJSON *parameters = NULL;
	int r;

	*ret = (struct sfd_oci_layer){ 0 };
	r = get_layer_parameters(handle, diff_id, reads_all, &parameters, err);
	if (r == 0)
		r = sfd_varlink_call(v, GET_LAYER, parameters, SFD_VARLINK_MORE, NULL, 0, err);
	while (r == 0) {
		r = next_frame(v, &first, ret, err);
		if (r <= 0)
			break;
		r = 0;
	}
	if (r < 0)
		return r;
	if (ret->n_fds < 1 + ret->n_dirs)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			GET_LAYER ": %zu descriptors came for a stream and %zu directories",
			ret->n_fds, ret->n_dirs);
	return check_stream(ret->fds[0], err);
}

void sfd_oci_layer_done(struct sfd_oci_layer *layer)
{
	for (size_t i = 0; i < layer->n_fds; i++)
		sfd_close(layer->fds[i]);
	free(layer->fds);
	*layer = (struct sfd_oci_layer){ 0 };
}
