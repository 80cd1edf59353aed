/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount-tool REPO IMAGE-ID DIR: mounts as on kernels before 6.12 (loop device, temporary mount
 * point, layers by name).
 */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/composefs/mount/mount.h"

#include <string.h>

int main(int argc, char **argv)
{
	struct sfd_mount_options options = { .old_kernel = true };
	struct splitfd_repository *repository = NULL;
	struct splitfd_error err = { 0 };
	struct splitfd_digest image = { 0 };
	int r;

	if (argc != 4)
		return 2;
	image.size = (uint8_t)(strlen(argv[2]) / 2);
	if (image.size > sizeof(image.bytes) || !sfd_hex_decode(argv[2], image.size, image.bytes))
		return 2;
	r = splitfd_repository_open(argv[1], false, &repository, &err);
	if (r == 0)
		r = sfd_mount_image(repository, &image, argv[3], &options, &err);
	if (r < 0)
		fprintf(stderr, "mount-tool: %s\n", err.text);
	splitfd_repository_close(repository);
	return r < 0;
}
