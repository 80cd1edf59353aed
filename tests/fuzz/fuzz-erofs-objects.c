/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through an EROFS image that looks for its objects, on any bytes. */
#include "transport/composefs/erofs/erofs-objects.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_object(void *ctx, const struct splitfd_digest *digest, struct splitfd_error *err)
{
	(void)err;
	assert(digest->size == (*(const uint8_t *)ctx % 2 == 0 ? 32 : 64));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct splitfd_error err = { 0 };
	uint8_t first;
	int r;

	if (size == 0)
		return 0;
	first = data[0];
	r = sfd_erofs_objects(data + 1, size - 1, first % 2 == 0 ? SPLITFD_SHA256 : SPLITFD_SHA512,
		on_object, &first, &err);
	assert(r == 0 || err.text[0] != '\0');
	return 0;
}
