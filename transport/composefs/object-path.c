/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/object-path.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/algorithm.h"

#include <string.h>

void sfd_object_path(const struct splitfd_digest *digest, char *path)
{
	sfd_hex_encode(digest->bytes, 1, path);
	path[2] = '/';
	sfd_hex_encode(digest->bytes + 1, digest->size - 1U, path + 3);
}

bool sfd_object_path_parse(enum splitfd_algorithm algorithm, uint8_t first, const char *rest,
	struct splitfd_digest *ret)
{
	size_t size = sfd_digest_size(algorithm);

	memset(ret, 0, sizeof(*ret));
	ret->size = (uint8_t)size;
	ret->bytes[0] = first;
	return strlen(rest) == 2 * (size - 1) && sfd_hex_decode(rest, size - 1, ret->bytes + 1);
}
