/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/short-names.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/user.h"
#include "transport/containers-storage/conf/registries.h"
#include "transport/containers-storage/conf/storage-conf.h"
#include "transport/containers-storage/conf/store-paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHOICES "short-name-aliases.conf"

void sfd_short_names_done(struct sfd_short_names *names)
{
	names->conf = sfd_conf_free(names->conf);
}

static int load_registries(void *ctx, const char *path, struct splitfd_error *err)
{
	return sfd_registries_load(ctx, path, err);
}

/* What podman wrote down of its user's choices. */
static int load_choices(struct sfd_conf *conf, struct splitfd_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	sfd_cleanup_free char *home = NULL, *path = NULL;
	int r = 0;

	if (!sfd_store_rootless()) {
		path = strdup("/var/cache/containers/" CHOICES);
	} else if (cache != NULL && *cache != '\0') {
		path = sfd_asprintf("%s/containers/" CHOICES, cache);
	} else {
		r = sfd_user_home(&home, err);
		if (r < 0)
			return r;
		path = sfd_asprintf("%s/.cache/containers/" CHOICES, home);
	}
	if (path == NULL)
		return splitfd_error_oom(err);
	r = sfd_registries_load_aliases(conf, path, err);
	if (r != -ENOENT)
		return r;
	splitfd_error_clear(err);
	return 0;
}

int sfd_short_names_load(struct sfd_short_names *names, const struct sfd_discover_dirs *dirs,
	struct splitfd_error *err)
{
	struct sfd_conf_files files = { .name = "registries",
		.variable = "CONTAINERS_REGISTRIES_CONF",
		.override = "CONTAINERS_REGISTRIES_CONF_OVERRIDE",
		.load = load_registries };
	int r;

	names->conf = files.ctx = sfd_conf_new();
	if (names->conf == NULL)
		return splitfd_error_oom(err);
	r = sfd_conf_files_load(&files, dirs, &names->wrong);
	if (r >= 0)
		r = load_choices(names->conf, &names->wrong);
	return r == -ENOMEM ? splitfd_error_oom(err) : 0;
}

/* REGISTRY/PATH in its normal form, where that is a name; NULL: `repository` is whole. */
static int complete(const char *registry, const char *repository, const struct sfd_docker_ref *ref,
	struct sfd_docker_ref *ret)
{
	char text[2 * sizeof(ref->repository)];
	int n, slashes = 0;

	for (const char *c = registry; c != NULL && *c != '\0'; c++)
		slashes = *c == '/' ? slashes + 1 : 0;
	n = snprintf(text, sizeof(text), "%.*s%s%s",
		registry != NULL ? (int)strlen(registry) - slashes : 0,
		registry != NULL ? registry : "", registry != NULL ? "/" : "", repository);

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
