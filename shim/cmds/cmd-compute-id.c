/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/commands.h"
#include "shim/common/image-argument.h"
#include "shim/common/repo-options.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/erofs/erofs-writer.h"

extern const struct sfd_command sfd_cmd_compute_id;

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);
SFD_DEFINE_CLEANUP(cleanup_tree, struct sfd_tree, sfd_tree_free);

static int print_id(const struct sfd_tree *tree, int format, struct splitfd_error *err)
{
	char hex[2 * SPLITFD_DIGEST_MAX + 1];
	struct splitfd_digest digest;
	int r;

	r = sfd_erofs_digest(tree, format, &digest, err);
	if (r < 0)
		return r;
	splitfd_digest_hex(&digest, hex);
	printf("%s\n", hex);
	return 0;
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_repository) struct splitfd_repository *repository = NULL;
	sfd_cleanup(cleanup_tree) struct sfd_tree *tree = NULL;
	struct sfd_repo_options repo = SFD_REPO_READER;
	int formats[SFD_IMAGE_FORMATS];
	const char *xattrs = NULL, *tree_of = NULL;
	bool bootable = false;
	long format = -1;
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&repo),
		{ "erofs-version", 0, SFD_OPTION_NUMBER, &format, 0, 2, "N",
			"The format: 0, 1 or 2 (default: the repository's)" },
		{ "xattrs", 0, SFD_OPTION_STRING, &xattrs, 0, 0, "MODE",
			"allowlist-only (default) or keep-user-xattrs" },
		{ "tree", 0, SFD_OPTION_STRING, &tree_of, 0, 0, "PROGRAM",
			"File tree if podman and cfsctl differ: podman or cfsctl" },
		{ "bootable", 0, SFD_OPTION_FLAG, &bootable, 0, 0, NULL,
			"Not supported: the boot variant needs the image's SELinux policy" },
		{ NULL },
	};
	int r;

	r = sfd_parse_options(&sfd_cmd_compute_id, options, &argc, &argv, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (bootable)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
			"the boot variant is not supported; 'cfsctl oci compute-id --bootable' "
			"makes "
			"it");
	r = sfd_repo_open_reader(&repo, &repository, err);
	if (r < 0)
		return r;
	sfd_image_formats(repository, formats);
	r = sfd_image_argument_tree(repository, "compute-id", argv[0], xattrs, tree_of, &tree, err);
	return r < 0 ? r : print_id(tree, format < 0 ? formats[0] : (int)format, err);
}

const struct sfd_command sfd_cmd_compute_id = {
	.name = "compute-id",
	.class = SFD_PORCELAIN,
	.operands = "NAME",
	.summary = "Compute the digest of a stored image's EROFS image from its layers",
	.run = run,
};
