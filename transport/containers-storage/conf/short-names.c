/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/short-names.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/conf/storage-conf.h"
#include "transport/containers-storage/conf/store-paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void sfd_short_names_done(struct sfd_short_names *names)
{
	names->conf = sfd_conf_free(names->conf);
}

static int is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n >= 5 && strcmp(entry->d_name + n - 5, ".conf") == 0 && entry->d_type != DT_DIR;
}

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Adds the files of DIR/registries.conf.d by their names. */
static int load_drop_ins(struct sfd_conf *conf, const char *dir, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = sfd_asprintf("%s/registries.conf.d", dir);
	struct dirent **names = NULL;
	int n, r = 0;

	if (path == NULL)
		return splitfd_error_oom(err);
	n = scandir(path, &names, is_conf, compare);
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		return splitfd_error_sys(err, errno, "%s: cannot list", path);
	for (int i = 0; i < n; i++) {
		if (r >= 0)
			r = sfd_conf_load_from(conf, path, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return r;
}

static int load_files(struct sfd_conf *conf, const char *user, struct splitfd_error *err)
{
	static const char etc[] = "/etc/containers";
	const char *named = getenv("CONTAINERS_REGISTRIES_CONF");
	bool own = false;
	int r;

	if (named != NULL && *named != '\0') {
		r = sfd_conf_load(conf, named, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "CONTAINERS_REGISTRIES_CONF");
	} else {
		r = sfd_conf_load_from(conf, user, "registries.conf", err);
		own = r > 0;
		if (r == 0)
			r = sfd_conf_load_from(conf, etc, "registries.conf", err);
	}
	if (r >= 0 && !own)
		r = load_drop_ins(conf, etc, err);
	return r < 0 ? r : load_drop_ins(conf, user, err);
}

/* What podman wrote down of its user's choices. */
static int load_choices(struct sfd_conf *conf, const char *home, struct splitfd_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	sfd_cleanup_free char *dir = NULL;

	if (!sfd_store_rootless())
		dir = strdup("/var/cache/containers");
	else if (cache != NULL && *cache != '\0')
		dir = sfd_asprintf("%s/containers", cache);
	else
		dir = sfd_asprintf("%s/.cache/containers", home);
	if (dir == NULL)
		return splitfd_error_oom(err);
	return sfd_conf_load_from(conf, dir, "short-name-aliases.conf", err);
}

int sfd_short_names_load(struct sfd_short_names *names, struct splitfd_error *err)
{
	const char *home = getenv("HOME");
	sfd_cleanup_free char *user =
		sfd_asprintf("%s/.config/containers", home != NULL ? home : "");
	int r;

	names->conf = sfd_conf_new();
	if (names->conf == NULL || user == NULL)
		return splitfd_error_oom(err);
	r = load_files(names->conf, user, &names->wrong);
	if (r >= 0)
		r = load_choices(names->conf, home != NULL ? home : "", &names->wrong);
	return r == -ENOMEM ? splitfd_error_oom(err) : 0;
}

/* REGISTRY/PATH in its normal form, where that is a name; NULL: `repository` is whole. */
static int complete(const char *registry, const char *repository, const struct sfd_docker_ref *ref,
	struct sfd_docker_ref *ret)
{
	char text[2 * sizeof(ref->repository)];
	int n = snprintf(text, sizeof(text), "%s%s%s", registry != NULL ? registry : "",
		registry != NULL ? "/" : "", repository);

	if (n < 0 || (size_t)n >= sizeof(text) || sfd_docker_ref_parse(text, ret) != NULL ||
		ret->tag[0] != '\0' || ret->digest[0] != '\0')
		return 0;
	sfd_docker_ref_normalise(ret);
	memcpy(ret->tag, ref->tag, sizeof(ret->tag));
	memcpy(ret->digest, ref->digest, sizeof(ret->digest));
	return 1;
}

int sfd_short_names_step(const struct sfd_short_names *names, const struct sfd_docker_ref *ref,
	size_t step, struct sfd_docker_ref *ret)
{
	char key[sizeof("aliases.") + sizeof(ref->repository)];
	const char *const *registries = NULL;
	const char *alias = "";
	size_t n = 0;

	if (names != NULL) {
		(void)snprintf(key, sizeof(key), "aliases.%s", ref->repository);
		(void)sfd_conf_string(names->conf, key, &alias, NULL);
		(void)sfd_conf_array(
			names->conf, "unqualified-search-registries", &registries, &n, NULL);
	}
	if (step == 0)
		return *alias != '\0' ? complete(NULL, alias, ref, ret) : 0;
	if (step == 1)
		return complete("localhost", ref->repository, ref, ret);
	if (step - 2 < n)
		return complete(registries[step - 2], ref->repository, ref, ret);
	return step - 2 == n ? complete(NULL, ref->repository, ref, ret) : -ENOENT;
}
