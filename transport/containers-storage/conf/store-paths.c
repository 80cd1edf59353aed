/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/store-paths.h"

#include "splitfdstream/base/buffer.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/user.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A variable's value; NULL where it is unset or empty. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

bool sfd_store_rootless(void)
{
	return sfd_user_id() != 0;
}

static int joined(char **ret, struct splitfd_error *err, const char *a, const char *b)
{
	*ret = sfd_asprintf("%s%s", a, b);
	return *ret != NULL ? 0 : splitfd_error_oom(err);
}

/* $VARIABLE followed by `below`, or the home directory followed by `fallback`. */
static int xdg_dir(const char *variable, const char *below, const char *fallback, char **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *home = NULL;
	int r;

	if (env(variable) != NULL)
		return joined(ret, err, env(variable), below);
	r = sfd_user_home(&home, err);
	if (r < 0)
		return r;
	return joined(ret, err, home, fallback);
}

int sfd_store_default_root(char **ret, struct splitfd_error *err)
{
	if (!sfd_store_rootless())
		return joined(ret, err, "/var/lib/containers/storage", "");
	return xdg_dir("XDG_DATA_HOME", "/containers/storage", "/.local/share/containers/storage",
		ret, err);
}

/* A directory of nobody but the user. */
static bool is_private(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == sfd_user_id() &&
	       (st.st_mode & 0722) == 0700;
}

int sfd_store_default_runroot(char **ret, struct splitfd_error *err)
{
	char path[PATH_MAX];

	if (!sfd_store_rootless())
		return joined(ret, err, "/run/containers/storage", "");
	if (env("XDG_RUNTIME_DIR") != NULL)
		return joined(ret, err, env("XDG_RUNTIME_DIR"), "/containers");
	(void)snprintf(path, sizeof(path), "/run/user/%lu", (unsigned long)sfd_user_id());
	if (is_private(path))
		return joined(ret, err, path, "/containers");
	(void)snprintf(path, sizeof(path), "%s/storage-run-%lu",
		env("TMPDIR") != NULL ? env("TMPDIR") : "/tmp", (unsigned long)sfd_user_id());
	return joined(ret, err, path, "/containers");
}

static size_t name_length(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	return *text >= '0' && *text <= '9' ? 0 : n;
}

/* Appends the value of the variable at text ("$NAME" or "${NAME}") and returns the length of that;
 * 0 where a '$' is only a '$'. "$UID" is no variable: it is the user, whatever follows. */
static size_t expand_one(const char *text, struct sfd_buffer *out, int *r)
{
	bool braces = text[1] == '{';
	const char *name = text + 1 + braces, *value;
	char copy[256];
	size_t n = name_length(name);

	if (strncmp(text, "$UID", 4) == 0) {
		*r = sfd_buffer_printf(out, "%lu", (unsigned long)sfd_user_id());
		return 4;
	}
	if (n == 0 || n >= sizeof(copy) || (braces && name[n] != '}'))
		return 0;
	memcpy(copy, name, n);
	copy[n] = '\0';
	value = env(copy);
	if (value != NULL)
		*r = sfd_buffer_append_str(out, value);
	return n + 1 + (braces ? 2 : 0);
}

int sfd_store_resolve_path(const char *path, char **ret, struct splitfd_error *err)
{
	*ret = realpath(path, NULL);
	if (*ret == NULL)
		*ret = strdup(path);
	return *ret == NULL ? splitfd_error_oom(err) : 0;
}

int sfd_store_expand_path(const char *path, char **ret, struct splitfd_error *err)
{
	sfd_cleanup_buffer struct sfd_buffer out = { .max = PATH_MAX };
	int r = 0;

	while (*path != '\0' && r >= 0) {
		size_t n = *path == '$' ? expand_one(path, &out, &r) : 0;

		if (n == 0)
			r = sfd_buffer_append(&out, path, 1);
		path += n == 0 ? 1 : n;
	}
	if (r >= 0)
		r = sfd_buffer_append(&out, "", 1);
	if (r < 0)
		return splitfd_error_sys(err, -r, "a path of storage.conf");
	return sfd_store_resolve_path((const char *)out.data, ret, err);
}
