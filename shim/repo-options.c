/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/repo-options.h"
#include "splitfdstream/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sfd_repo_path(const struct sfd_repo_options *o, char **ret, struct splitfd_error *err)
{
	const char *home = getenv("HOME");
	char *path = NULL;

	if ((o->path != NULL) + o->user + o->system > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"only one of --repo, --user and --system can be given");
	if (o->path != NULL) {
		path = strdup(o->path);
	} else if (o->system || (!o->user && geteuid() == 0)) {
		path = strdup("/sysroot/composefs");
	} else {
		if (home == NULL || home[0] != '/')
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"HOME is not set to a path; name the repository with --repo");
		if (asprintf(&path, "%s/.var/lib/composefs", home) < 0)
			path = NULL;
	}
	if (path == NULL)
		return splitfd_error_oom(err);
	*ret = path;
	return 0;
}

int sfd_repo_open(const struct sfd_repo_options *o, bool write, struct splitfd_repository **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	int r = sfd_repo_path(o, &path, err);

	return r < 0 ? r : splitfd_repository_open(path, write, ret, err);
}
