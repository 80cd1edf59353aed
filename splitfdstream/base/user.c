/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/user.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uid_t sfd_user_id(void)
{
	const char *text = getenv("_CONTAINERS_ROOTLESS_UID");
	uint64_t uid;

	if (text != NULL && *text != '\0' && sfd_parse_u64(text, UINT32_MAX - 1, &uid))
		return (uid_t)uid;
	return geteuid();
}

int sfd_user_home(char **ret, struct splitfd_error *err)
{
	const char *home = getenv("HOME");
	struct passwd entry, *found = NULL;
	char buffer[4096];

	if (home == NULL || *home == '\0') {
		if (getpwuid_r(sfd_user_id(), &entry, buffer, sizeof(buffer), &found) != 0 ||
			found == NULL)
			return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOENT,
				"the home directory of user %lu is not known; set HOME",
				(unsigned long)sfd_user_id());
		home = found->pw_dir;
	}
	*ret = strdup(home);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

int sfd_user_config_dir(char **ret, struct splitfd_error *err)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	sfd_cleanup_free char *home = NULL;
	int r;

	/* Set but empty is not unset here, as in container-libs: no file of the user's then, where
	 * they would look below the current directory. */
	if (config != NULL) {
		*ret = sfd_asprintf("%s/containers", config);
	} else {
		r = sfd_user_home(&home, err);
		if (r < 0)
			return r;
		*ret = sfd_asprintf("%s/.config/containers", home);
	}
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}
