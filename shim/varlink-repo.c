/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Oci and org.composefs.Repository of a composefs repository. */
#include "shim/varlink-descriptions.h"
#include "shim/varlink-session.h"

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	static const char *const features[] = { "splitdirfdstream-v0" };
	cJSON *array = cJSON_CreateStringArray(features, 1);

	(void)s;
	(void)call;
	if (!cJSON_AddItemToObject(sfd_varlink_object(ret), "features", array)) {
		cJSON_Delete(array);
		return splitfd_error_oom(err);
	}
	return 0;
}

static const struct sfd_varlink_row oci_rows[] = {
	{ "GetInfo", get_info },
	{ "OciMount", NULL },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_oci_of_repository = {
	.name = SFD_IFACE_OCI,
	.description = sfd_varlink_oci_description,
	.rows = oci_rows,
};

static const struct sfd_varlink_row repository_rows[] = {
	{ "EnsureRepository", NULL },
	{ "Gc", NULL },
	{ "Mount", NULL },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_repository = {
	.name = SFD_IFACE_REPOSITORY,
	.description = sfd_varlink_repository_description,
	.rows = repository_rows,
};
