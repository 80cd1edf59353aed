/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/conf-files.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/base/user.h"
#include "transport/containers-storage/conf/store-paths.h"

#include <string.h>
#include <sys/stat.h>

#define DROP_INS_MAX 1000

struct drop_in {
	char *dir;
	char *name;
};

struct drop_ins {
	struct drop_in *v;
	size_t n;
};

static void drop_ins_done(struct drop_ins *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].dir);
		free(d->v[i].name);
	}
	free(d->v);
}

static int add_drop_in(
	struct drop_ins *d, const char *dir, const char *name, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = NULL;
	struct drop_in *v;
	struct stat st;

	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->v[i].name, name) == 0)
			return 0;
	path = sfd_asprintf("%s/%s", dir, name);
	if (path == NULL)
		return splitfd_error_oom(err);
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (d->n == DROP_INS_MAX)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, E2BIG, "%s holds too many files", dir);
	v = reallocarray(d->v, d->n + 1, sizeof(*v));
	if (v == NULL)
		return splitfd_error_oom(err);
	d->v = v;
	v[d->n] = (struct drop_in){ .dir = strdup(dir), .name = strdup(name) };
	d->n++;
	return v[d->n - 1].dir != NULL && v[d->n - 1].name != NULL ? 0 : splitfd_error_oom(err);
}

/* Adds the files of BASE/SUB whose names no higher directory has. */
static int scan(struct drop_ins *d, const char *base, const char *sub, struct splitfd_error *err)
{
	sfd_cleanup_free char *path = sfd_asprintf("%s/%s", base, sub);
	sfd_cleanup_dir DIR *dir = NULL;
	struct dirent *entry;

	if (path == NULL)
		return splitfd_error_oom(err);
	dir = opendir(path);
	if (dir == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return splitfd_error_sys(err, errno, "%s: cannot list", path);
	}
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		size_t n = strlen(entry->d_name);
		int r = 0;

		if (n >= 5 && strcmp(entry->d_name + n - 5, ".conf") == 0)
			r = add_drop_in(d, path, entry->d_name, err);
		if (r < 0)
			return r;
	}
	return errno != 0 ? splitfd_error_sys(err, errno, "%s: cannot list", path) : 0;
}

/* The drop-ins of /etc/containers or /usr/share/containers, the user's kind first. */
static int scan_system(struct drop_ins *d, const char *base, struct splitfd_error *err)
{
	char of_uid[64];
	int r = 0;

	if (sfd_store_rootless()) {
		(void)snprintf(of_uid, sizeof(of_uid), "storage.rootless.conf.d/%lu",
			(unsigned long)sfd_user_id());
		r = scan(d, base, of_uid, err);
		if (r >= 0)
			r = scan(d, base, "storage.rootless.conf.d", err);
	} else {
		r = scan(d, base, "storage.rootful.conf.d", err);
	}
	return r < 0 ? r : scan(d, base, "storage.conf.d", err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

static int load_drop_ins(struct sfd_conf *conf, const char *user, const char *etc, const char *usr,
	struct splitfd_error *err)
{
	sfd_cleanup(drop_ins_done) struct drop_ins d = { 0 };
	int r = scan(&d, user, "storage.conf.d", err);

	if (r >= 0)
		r = scan_system(&d, etc, err);
	if (r >= 0)
		r = scan_system(&d, usr, err);
	if (r >= 0 && d.n > 0)
		qsort(d.v, d.n, sizeof(*d.v), compare_names);
	/* A link to nothing is no file, but hides those of its name in the lower directories. */
	for (size_t i = 0; r >= 0 && i < d.n; i++)
		r = sfd_conf_load_from(conf, d.v[i].dir, d.v[i].name, err);
	return r < 0 ? r : 0;
}

int sfd_conf_files_load(
	struct sfd_conf *conf, const struct sfd_discover_dirs *dirs, struct splitfd_error *err)
{
	const char *etc = dirs != NULL && dirs->etc != NULL ? dirs->etc : "/etc/containers";
	const char *usr = dirs != NULL && dirs->usr != NULL ? dirs->usr : "/usr/share/containers";
	const char *named = getenv("CONTAINERS_STORAGE_CONF");
	const char *override = getenv("CONTAINERS_STORAGE_CONF_OVERRIDE");
	sfd_cleanup_free char *user = NULL;
	int r;

	if (named != NULL && *named != '\0') {
		r = sfd_conf_load(conf, named, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "CONTAINERS_STORAGE_CONF");
	} else {
		r = sfd_user_config_dir(&user, err);
		if (r < 0)
			return r;
		r = sfd_conf_load_from(conf, user, "storage.conf", err);
		if (r == 0)
			r = sfd_conf_load_from(conf, etc, "storage.conf", err);
		if (r == 0)
			r = sfd_conf_load_from(conf, usr, "storage.conf", err);
		if (r >= 0)
			r = load_drop_ins(conf, user, etc, usr, err);
	}
	if (r >= 0 && override != NULL && *override != '\0') {
		r = sfd_conf_load(conf, override, err);
		if (r < 0)
			return splitfd_error_wrap(err, r, "CONTAINERS_STORAGE_CONF_OVERRIDE");
	}
	return r < 0 ? r : 0;
}
