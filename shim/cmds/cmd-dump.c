/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cmds/commands.h"
#include "shim/common/image-argument.h"
#include "shim/common/repo-options.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/composefs/tree/dumpfile.h"

extern const struct sfd_command sfd_cmd_dump;

SFD_DEFINE_CLEANUP(cleanup_repository, struct splitfd_repository, splitfd_repository_close);
SFD_DEFINE_CLEANUP(cleanup_tree, struct sfd_tree, sfd_tree_free);

static int run(int argc, char **argv, struct splitfd_error *err)
{
	sfd_cleanup(cleanup_repository) struct splitfd_repository *repository = NULL;
	sfd_cleanup(cleanup_tree) struct sfd_tree *tree = NULL;
	struct sfd_repo_options repo = SFD_REPO_READER;
	const char *xattrs = NULL, *tree_of = NULL;
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&repo),
		{ "xattrs", 0, SFD_OPTION_STRING, &xattrs, 0, 0, "MODE",
			"allowlist-only (default) or keep-user-xattrs" },
		{ "tree", 0, SFD_OPTION_STRING, &tree_of, 0, 0, "PROGRAM",
			"File tree if podman and cfsctl differ: podman or cfsctl" },
		{ NULL },
	};
	int r;

	r = sfd_parse_options(&sfd_cmd_dump, options, &argc, &argv, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = sfd_repo_open_reader(&repo, &repository, err);
	if (r == 0)
		r = sfd_image_argument_tree(
			repository, "dump", argv[0], xattrs, tree_of, &tree, err);
	return r < 0 ? r : sfd_dump_write(tree, stdout, err);
}

const struct sfd_command sfd_cmd_dump = {
	.name = "dump",
	.class = SFD_PORCELAIN,
	.operands = "NAME",
	.summary = "Print the file tree of a stored image as a composefs dumpfile",
	.run = run,
};
