/* SPDX-License-Identifier: Apache-2.0 */
/* org.composefs.Oci of a containers-storage store. */
#include "shim/varlink-descriptions.h"
#include "shim/varlink-session.h"

static int get_info(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	static const char *const features[] = { "splitdirfdstream-v0", "source-containers-storage",
		"read-only" };
	cJSON *array = cJSON_CreateStringArray(features, 3);

	(void)s;
	(void)call;
	if (!cJSON_AddItemToObject(sfd_varlink_object(ret), "features", array)) {
		cJSON_Delete(array);
		return splitfd_error_oom(err);
	}
	return 0;
}

static const struct sfd_varlink_row rows[] = {
	{ "GetInfo", get_info },
	{ NULL },
};

const struct sfd_varlink_interface sfd_varlink_oci_of_store = {
	.name = SFD_IFACE_OCI,
	.description = sfd_varlink_oci_store_description,
	.rows = rows,
};
