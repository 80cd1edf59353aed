/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink-repo.h"
#include "transport/composefs/fsck.h"

static bool add_number(cJSON *o, const char *key, uint64_t value)
{
	return cJSON_AddNumberToObject(o, key, (double)value) != NULL;
}

static bool add_errors(cJSON *o, const struct sfd_fsck_texts *texts)
{
	cJSON *array = cJSON_AddArrayToObject(o, "errors");

	for (size_t i = 0; array != NULL && i < texts->n; i++) {
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(texts->items[i])))
			return false;
	}
	return array != NULL;
}

static bool fill_repo(cJSON *o, const struct sfd_fsck_report *report)
{
	return cJSON_AddBoolToObject(o, "ok", report->errors.n == 0) != NULL &&
	       cJSON_AddTrueToObject(o, "has_metadata") != NULL &&
	       add_number(o, "objects_checked", report->objects.checked) &&
	       add_number(o, "objects_corrupted", report->objects.corrupted) &&
	       add_number(o, "streams_checked", report->streams.checked) &&
	       add_number(o, "streams_corrupted", report->streams.corrupted) &&
	       add_number(o, "images_checked", report->images.checked) &&
	       add_number(o, "images_corrupted", report->images.corrupted) &&
	       add_number(o, "broken_links", report->broken_links) &&
	       add_number(o, "missing_objects", report->missing_objects) &&
	       add_errors(o, &report->errors);
}

static bool fill_check(cJSON *o, const struct sfd_fsck_report *report)
{
	bool ok = report->errors.n == 0 && report->oci_errors.n == 0;

	return cJSON_AddBoolToObject(o, "ok", ok) != NULL &&
	       add_number(o, "images_checked", report->oci.checked) &&
	       add_number(o, "images_corrupted", report->oci.corrupted) &&
	       add_errors(o, &report->oci_errors) &&
	       fill_repo(cJSON_AddObjectToObject(o, "repo"), report);
}

static int run(struct sfd_varlink_session *s, struct sfd_fsck_options *options, bool oci,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	struct sfd_fsck_report report;
	int r;

	options->cancel = s->settings->cancel;
	r = sfd_fsck_run(s->repository, options, &report, err);
	if (r >= 0) {
		cJSON *o = sfd_varlink_object(ret);

		r = (oci ? fill_check(o, &report) : fill_repo(o, &report)) ? 0
									   : splitfd_error_oom(err);
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
