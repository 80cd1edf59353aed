/* SPDX-License-Identifier: Apache-2.0 */
/* Check and Fsck of org.composefs: the report of splitfd-fsck(1). */
#include "shim/common/fsck-json.h"
#include "shim/varlink/varlink-repo.h"

static int run(struct sfd_varlink_session *s, struct sfd_fsck_options *options, bool oci,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_fsck_report report;
	int r;

	options->cancel = s->settings->cancel;
	r = sfd_fsck_run(s->repository, options, &report, err);
	if (r >= 0) {
		cJSON *o = sfd_varlink_object(ret);

		bool filled = oci ? sfd_fsck_json_images(o, &report, false)
				  : sfd_fsck_json_repository(o, &report, false);

		r = filled ? 0 : splitfd_error_oom(err);
	} else if (err->kind == SPLITFD_ERROR_NOT_FOUND && options->image != NULL) {
		r = sfd_varlink_fail(
			ret, SFD_IFACE_OCI ".NoSuchImage", "image", options->image, err);
	}
	sfd_fsck_report_done(&report);
	return r;
}

int sfd_varlink_repo_check(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *image;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "image", SFD_VARLINK_STRING, true, &image },
		{ NULL },
	};
	struct sfd_fsck_options options = { 0 };
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	options.image = image != NULL ? image->valuestring : NULL;
	r = sfd_varlink_repo(s, handle, false, ret, err);
	return r <= 0 ? r : run(s, &options, true, ret, err);
}

int sfd_varlink_repo_fsck(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	const cJSON *handle, *metadata_only;
	const struct sfd_varlink_param params[] = {
		{ "handle", SFD_VARLINK_INT, false, &handle },
		{ "metadata_only", SFD_VARLINK_BOOL, true, &metadata_only },
		{ NULL },
	};
	struct sfd_fsck_options options = { 0 };
	int r;

	if (!sfd_varlink_params(call->parameters, params, ret))
		return 0;
	options.metadata_only = cJSON_IsTrue(metadata_only);
	r = sfd_varlink_repo_itself(s, handle, ret, err);
	return r <= 0 ? r : run(s, &options, false, ret, err);
}
