/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/repo-options.h"
#include "shim/common/report.h"
#include "transport/composefs/algorithm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct sfd_command sfd_cmd_init;

static int parse_algorithm(const char *text, enum splitfd_algorithm *ret, struct splitfd_error *err)
{
	if (!sfd_algorithm_parse_hash(text, ret) && !sfd_algorithm_parse(text, ret))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--algorithm is fsverity-sha512-12 (sha512) or fsverity-sha256-12 "
			"(sha256), not '%s'",
			text);
	return 0;
}

static int print(const char *path, const struct splitfd_init_options *o, bool json,
	struct splitfd_error *err)
{
	const char *algorithm = sfd_algorithm_name(o->algorithm);
	cJSON *object;

	if (!json) {
		printf("Initialized composefs repository at %s\n  algorithm: %s\n"
		       "  verity:    %s\n",
			path, algorithm, o->insecure ? "not required (insecure)" : "required");
		return 0;
	}
	object = cJSON_CreateObject();
	if (cJSON_AddStringToObject(object, "path", path) == NULL ||
		cJSON_AddStringToObject(object, "algorithm", algorithm) == NULL ||
		cJSON_AddBoolToObject(object, "secure", !o->insecure) == NULL) {
		cJSON_Delete(object);
		object = NULL;
	}
	return sfd_print_json(object, err);
}

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct splitfd_init_options init = { 0 };
	struct sfd_repo_options repo = { 0 };
	const char *algorithm = "fsverity-sha512-12";
	bool json = false;
	long version = 0;
	char path[PATH_MAX];
	const struct sfd_option options[] = {
		SFD_REPO_OPTIONS(&repo),
		{ "algorithm", 0, SFD_OPTION_STRING, &algorithm, 0, 0, "NAME",
			"fsverity-sha512-12 (default) or fsverity-sha256-12" },
		{ "insecure", 0, SFD_OPTION_FLAG, &init.insecure, 0, 0, NULL,
			"Do not require fs-verity" },
		{ "erofs-version", 0, SFD_OPTION_NUMBER, &version, 1, 2, "N",
			"Format of EROFS images: 1 (default) or 2" },
		{ "json", 0, SFD_OPTION_FLAG, &json, 0, 0, NULL, "Print the result as JSON" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_init, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (argc == 1 && (repo.repo != NULL || repo.user || repo.system))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"give the directory as an argument or by an option, not both");
	if (argc == 1)
		repo.repo = argv[0];
	init.erofs_default = (int)version;
	init.lock_timeout = (unsigned int)repo.lock_timeout * 1000;
	r = parse_algorithm(algorithm, &init.algorithm, err);
	if (r == 0)
		r = sfd_repo_path(&repo, path, err);
	if (r == 0)
		r = splitfd_repository_init(path, &init, err);
	return r < 0 ? r : print(path, &init, json, err);
}

const struct sfd_command sfd_cmd_init = {
	.name = "init",
	.class = SFD_PORCELAIN,
	.operands = "[DIR]",
	.summary = "Make a composefs repository",
	.run = run,
};
