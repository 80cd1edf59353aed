/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/varlink-served.h"

#include <string.h>
#include <sys/stat.h>

bool sfd_varlink_is_served(const char *served, const char *path)
{
	struct stat ours, theirs;

	if (strcmp(path, served) == 0)
		return true;
	return stat(served, &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int sfd_varlink_features(
	const char *const *features, struct sfd_varlink_result *ret, struct splitfd_error *err)
{
	cJSON *array = cJSON_AddArrayToObject(sfd_varlink_object(ret), "features");

	if (array == NULL)
		return splitfd_error_oom(err);
	for (; *features != NULL; features++) {
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(*features)))
			return splitfd_error_oom(err);
	}
	return 0;
}
