/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/image-json.h"
#include "transport/json/json-member.h"

bool sfd_image_json(cJSON *object, const struct sfd_image_row *row)
{
	return sfd_json_add_text(object, "name", row->name) &&
	       sfd_json_add_text(object, "manifest_digest", row->manifest_digest) &&
	       cJSON_AddBoolToObject(object, "is_container", row->container) != NULL &&
	       sfd_json_add_text(object, "architecture", row->architecture) &&
	       sfd_json_add_text(object, "os", row->os) &&
	       sfd_json_add_text(object, "created", row->created) &&
	       cJSON_AddNumberToObject(object, "layer_count", (double)row->n_layers) != NULL &&
	       cJSON_AddNumberToObject(object, "referrer_count", (double)row->n_referrers) != NULL;
}
