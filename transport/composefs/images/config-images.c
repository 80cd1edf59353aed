/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/images/config-images.h"
#include "transport/composefs/stream/stream-same.h"

#include <errno.h>
#include <string.h>

bool sfd_is_image_ref(const char *name)
{
	return strncmp(name, SFD_IMAGE_REF, strlen(SFD_IMAGE_REF)) == 0 ||
	       strcmp(name, SFD_IMAGE_OBJECTS_REF) == 0;
}

bool sfd_is_stream_damage(int r, const struct splitfd_error *why)
{
	return r == -EIO || r == -ENOENT || why->kind == SPLITFD_ERROR_REFUSED ||
	       why->kind == SPLITFD_ERROR_NOT_FOUND;
}

const struct splitfd_digest *sfd_ref_find(
	const struct sfd_splitstream_ref *rows, size_t n, const char *name)
{
	for (size_t i = n; i-- > 0;) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i].digest;
	}
	return NULL;
}

int sfd_image_refs_hold(struct splitfd_repository *repository, const struct sfd_splitstream *config,
	const struct sfd_splitstream_ref *now, size_t n_now, struct splitfd_error *err)
{
	size_t n;
	const struct sfd_splitstream_ref *refs = sfd_splitstream_refs(config, &n);

	for (size_t i = 0; i < n; i++) {
		const struct splitfd_digest *digest = sfd_ref_find(now, n_now, refs[i].name);
		struct splitfd_error why = { 0 };
		int r;

		if (digest == NULL || splitfd_digest_equal(digest, &refs[i].digest))
			continue;
		r = sfd_streams_are_same(repository, &refs[i].digest, digest, &why);
		if (r == 0)
			return 0;
		if (r < 0 && !sfd_is_stream_damage(r, &why))
			return splitfd_error_copy(err, r, &why);
	}
	return 1;
}
