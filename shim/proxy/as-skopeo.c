/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy/as-skopeo.h"
#include "shim/common/rootless.h"
#include "transport/skopeo/real-skopeo.h"

#include <string.h>

static const char proxy_command[] = "experimental-image-proxy";

bool sfd_is_skopeo(const char *argv0)
{
	const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;

	return argv0 != NULL && strcmp(slash != NULL ? slash + 1 : argv0, "skopeo") == 0;
}

/* Global flags that may stand before the command with their value as the next word. */
static bool takes_value(const char *word)
{
	static const char *const flags[] = { "--command-timeout", "--override-arch",
		"--override-os", "--override-variant", "--policy", "--registries-conf",
		"--registries.d", "--tmpdir", "--user-agent-prefix" };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(word, flags[i]) == 0)
			return true;
	}
	return false;
}

int sfd_as_skopeo(int argc, char **argv, struct splitfd_error *err)
{
	int i = 1;

	/* A reader that was called as skopeo starts its helper under the same name. */
	if (argc == 2 && strcmp(argv[1], SFD_ROOTLESS_COMMAND) == 0)
		return 0;
	while (i < argc && argv[i][0] == '-')
		i += takes_value(argv[i]) ? 2 : 1;
	if (i >= argc || strcmp(argv[i], proxy_command) != 0)
		return sfd_exec_skopeo(argv, err);
	for (; i > 1; i--)
		argv[i] = argv[i - 1];
	argv[1] = (char *)(unsigned long)proxy_command;
	return 0;
}
