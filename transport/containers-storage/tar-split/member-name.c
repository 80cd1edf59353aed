/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/tar-split/member-name.h"

#include "splitfdstream/chunk.h"

#include <errno.h>
#include <string.h>

int sfd_layer_clean_name(const char *name, size_t len, char *clean)
{
	size_t out = 0, i = 0;

	if (memchr(name, '\0', len) != NULL)
		return -EINVAL;
	while (i < len) {
		const char *slash = memchr(name + i, '/', len - i);
		size_t part = slash != NULL ? (size_t)(slash - name) - i : len - i;

		if (part == 2 && memcmp(name + i, "..", 2) == 0) {
			while (out > 0 && clean[--out] != '/')
				;
		} else if (part > 0 && !(part == 1 && name[i] == '.')) {
			if (out + (out > 0) + part > SPLITFD_NAME_MAX)
				return -ENAMETOOLONG;
			if (out > 0)
				clean[out++] = '/';
			memcpy(clean + out, name + i, part);
			out += part;
		}
		i += part + 1;
	}
	clean[out] = '\0';
	return out > 0 ? (int)out : -EINVAL;
}
