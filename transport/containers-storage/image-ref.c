/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/image-ref.h"

#include "transport/containers-storage/image-lookup.h"

#include <stddef.h>

int sfd_image_ref_find(const struct sfd_image_db *db, const char *name, enum splitfd_lookup lookup,
	struct sfd_image_found *ret, struct splitfd_error *err)
{
	if (lookup == SPLITFD_LOOKUP_TRANSPORT)
		return sfd_lookup_transport(db, name, ret, err);
	if (lookup == SPLITFD_LOOKUP_BOTH && sfd_lookup_transport(db, name, ret, NULL) >= 0)
		return 0;
	return sfd_lookup_podman(db, name, ret, err);
}
