/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-files.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"

#include <fcntl.h>
#include <string.h>

#define RESOLVE_STORE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

int sfd_store_open_root(const char *path)
{
	return sfd_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
}

int sfd_store_open_dir(int dirfd, const char *path, bool cross_mounts)
{
	return sfd_openat2(dirfd, path, O_PATH | O_DIRECTORY, 0,
		RESOLVE_STORE | (cross_mounts ? 0 : RESOLVE_NO_XDEV));
}

int sfd_store_open_file(int dirfd, const char *path)
{
	return sfd_open_regular(dirfd, path, RESOLVE_STORE);
}

int sfd_store_read_file(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);

	if (fd < 0)
		return fd;
	return sfd_read_file_fd(fd, max, ret_data, ret_size);
}

bool sfd_store_id_valid(const char *id)
{
	uint8_t bytes[32];

	return id != NULL && strlen(id) == 64 && sfd_hex_decode(id, 32, bytes);
}

bool sfd_store_link_valid(const char *link, size_t n)
{
	if (n != 26)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(link[i] >= 'A' && link[i] <= 'Z') && !(link[i] >= '2' && link[i] <= '7'))
			return false;
	return true;
}

int sfd_store_big_data_name(const char *key, char *name, size_t size)
{
	size_t n = strlen(key);

	if (n == 0 || strcmp(key, ".") == 0 || strcmp(key, "..") == 0)
		return -EINVAL;
	if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.") == n) {
		if (n >= size)
			return -ENAMETOOLONG;
		memcpy(name, key, n + 1);
		return 0;
	}
	if (n > 4096 || size < 2 || (n + 2) / 3 * 4 + 1 > size - 1)
		return -ENAMETOOLONG;
	name[0] = '=';
	sfd_base64_encode((const uint8_t *)key, n, name + 1);
	return strchr(name, '/') != NULL ? -EINVAL : 0;
}
