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
		if (errno == ENOENT)
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

static int scan_kind(struct drop_ins *d, const char *base, const char *name, const char *kind,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *sub = sfd_asprintf("%s%s", name, kind);

	return sub != NULL ? scan(d, base, sub, err) : splitfd_error_oom(err);
}

/* The drop-ins of /etc/containers or /usr/share/containers, the user's kind first. */
static int scan_system(
	struct drop_ins *d, const char *base, const char *name, struct splitfd_error *err)
{
	char of_uid[64];
	int r = 0;

	if (sfd_store_rootless()) {
		(void)snprintf(of_uid, sizeof(of_uid), ".rootless.conf.d/%lu",
			(unsigned long)sfd_user_id());
		r = scan_kind(d, base, name, of_uid, err);
		if (r >= 0)
			r = scan_kind(d, base, name, ".rootless.conf.d", err);
	} else {
		r = scan_kind(d, base, name, ".rootful.conf.d", err);
	}
	return r < 0 ? r : scan_kind(d, base, name, ".conf.d", err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

/* DIR/NAME, which need not be there: 1 where it was added, 0 where there is none. */
static int load_from(const struct sfd_conf_files *files, const char *dir, const char *name,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *path = sfd_asprintf("%s/%s", dir, name);
	int r;

	if (path == NULL)
		return splitfd_error_oom(err);
	r = files->load(files->ctx, path, err);
	if (r == -ENOENT) {
		splitfd_error_clear(err);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int load_drop_ins(const struct sfd_conf_files *files, const char *user, const char *etc,
	const char *usr, struct splitfd_error *err)
{
	sfd_cleanup(drop_ins_done) struct drop_ins d = { 0 };
	int r = scan_kind(&d, user, files->name, ".conf.d", err);

	if (r >= 0)
		r = scan_system(&d, etc, files->name, err);
	if (r >= 0)
		r = scan_system(&d, usr, files->name, err);
	if (r >= 0 && d.n > 0)
		qsort(d.v, d.n, sizeof(*d.v), compare_names);
	/* A link to nothing is no file, but hides those of its name in the lower directories. */
	for (size_t i = 0; r >= 0 && i < d.n; i++)
		r = load_from(files, d.v[i].dir, d.v[i].name, err);
	return r < 0 ? r : 0;
}

/* The main file and the drop-ins. */
static int load_found(const struct sfd_conf_files *files, const struct sfd_discover_dirs *dirs,
	struct splitfd_error *err)
{
	const char *etc = dirs != NULL && dirs->etc != NULL ? dirs->etc : "/etc/containers";
	const char *usr = dirs != NULL && dirs->usr != NULL ? dirs->usr : "/usr/share/containers";
	sfd_cleanup_free char *user = NULL, *name = sfd_asprintf("%s.conf", files->name);
	int r;

	if (name == NULL)
		return splitfd_error_oom(err);
	r = sfd_user_config_dir(&user, err);
	if (r < 0)
		return r;
	r = load_from(files, user, name, err);
	if (r == 0)
		r = load_from(files, etc, name, err);
	if (r == 0)
		r = load_from(files, usr, name, err);
	return r < 0 ? r : load_drop_ins(files, user, etc, usr, err);
}

static int load_named(const struct sfd_conf_files *files, const char *variable, const char *path,
	struct splitfd_error *err)
{
	int r = files->load(files->ctx, path, err);

	return r < 0 ? splitfd_error_wrap(err, r, "%s", variable) : 0;
}

int sfd_conf_files_load(const struct sfd_conf_files *files, const struct sfd_discover_dirs *dirs,
	struct splitfd_error *err)
{
	const char *named = getenv(files->variable), *override = getenv(files->override);
	int r;

	if (named != NULL && *named != '\0')
		r = load_named(files, files->variable, named, err);
	else
		r = load_found(files, dirs, err);
	if (r >= 0 && override != NULL && *override != '\0')
		r = load_named(files, files->override, override, err);
	return r < 0 ? r : 0;
}
