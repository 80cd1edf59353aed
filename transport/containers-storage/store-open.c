/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/store-private.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-files.h"
#include "transport/containers-storage/store-lock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

SFD_DEFINE_CLEANUP(store_cleanup, struct splitfd_store, splitfd_store_close);

struct splitfd_store *sfd_store_ref(struct splitfd_store *store)
{
	__atomic_add_fetch(&store->refs, 1, __ATOMIC_RELAXED);
	return store;
}

struct splitfd_store *splitfd_store_close(struct splitfd_store *store)
{
	if (store == NULL || __atomic_sub_fetch(&store->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < store->n_places; i++) {
		sfd_close(store->places[i].fd);
		free(store->places[i].path);
	}
	sfd_close(store->volatile_fd);
	sfd_close(store->spool_fd);
	sfd_opener_unref(store->opener);
	sfd_store_config_done(&store->config);
	sfd_short_names_done(&store->short_names);
	free(store->platform.arch);
	free(store->platform.os);
	free(store->platform.variant);
	free(store);
	return NULL;
}

int sfd_store_spool_in(struct splitfd_store *store, int dir)
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	sfd_close(store->spool_fd);
	store->spool_fd = fd;
	return 0;
}

const char *splitfd_store_graphroot(const struct splitfd_store *store)
{
	return store->config.root;
}

const char *splitfd_store_driver(const struct splitfd_store *store)
{
	return store->driver->name;
}

void sfd_store_path(const struct splitfd_store *store, char path[SFD_STORE_PATH_MAX],
	const char *kind, const char *name)
{
	(void)snprintf(path, SFD_STORE_PATH_MAX, "%s-%s/%s", store->driver->name, kind, name);
}

size_t sfd_store_image_place(const struct splitfd_store *store, size_t i)
{
	return store->split && i < 2 ? 1 - i : i;
}

/* Adds a place. One that does not exist is an error only where it `must_exist`. */
static int add_place(
	struct splitfd_store *store, const char *path, bool must_exist, struct splitfd_error *err)
{
	struct sfd_place *place = &store->places[store->n_places];
	int fd = sfd_store_open_root(path);

	if (fd < 0 && (must_exist || (fd != -ENOENT && fd != -ENOTDIR)))
		return splitfd_error_sys(err, -fd, "the store %s cannot be opened", path);
	place->fd = fd < 0 ? -EBADF : fd;
	store->n_places++;
	place->path = strdup(path);
	return place->path == NULL ? splitfd_error_oom(err) : 0;
}

static int add_places(struct splitfd_store *store, struct splitfd_error *err)
{
	const struct sfd_store_config *config = &store->config;
	int r = add_place(store, config->root, false, err);

	if (r >= 0 && config->imagestore != NULL) {
		r = add_place(store, config->imagestore, false, err);
		store->split = true;
	}
	if (r >= 0 && config->n_additional > SFD_ADDITIONAL_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, E2BIG,
			"there are %zu additional image stores; at most %d can be read",
			config->n_additional, SFD_ADDITIONAL_MAX);
	for (size_t i = 0; i < config->n_additional && r >= 0; i++) {
		r = add_place(store, config->additional[i], true, err);
		/* Without it nothing can be said to be absent. */
		if (r < 0 && r != -ENOMEM && err != NULL)
			err->kind = SPLITFD_ERROR_FAILED;
		if (r < 0)
			splitfd_error_wrap(err, r, "additional image store");
	}
	return r;
}

/* True where the place has the images of that driver. */
static bool has_images(const struct sfd_place *place, const struct sfd_driver *driver)
{
	char name[32];
	int fd;

	if (place->fd < 0)
		return false;
	(void)snprintf(name, sizeof(name), "%s-images", driver->name);
	fd = sfd_store_open_dir(place->fd, name, true);
	sfd_close(fd);
	/* A place that may not be looked at is there; reading it says why it cannot be read. */
	return fd >= 0 || (fd != -ENOENT && fd != -ENOTDIR);
}

static bool any_images(const struct splitfd_store *store, const struct sfd_driver *driver)
{
	for (size_t i = 0; i < store->n_places; i++)
		if (has_images(&store->places[i], driver))
			return true;
	return false;
}

/* The first driver whose directories are there; NULL: none. */
static const struct sfd_driver *find_driver(const struct splitfd_store *store)
{
	for (size_t i = 0; i < SFD_N_DRIVERS; i++)
		if (any_images(store, &sfd_drivers[i]))
			return &sfd_drivers[i];
	return NULL;
}

/* The driver that was named, else the one whose directories are there; NOT_FOUND for none. */
static int choose_driver(struct splitfd_store *store, struct splitfd_error *err)
{
	const char *named = store->config.driver;
	const struct sfd_driver *found = NULL;

	store->driver = named != NULL ? sfd_driver_find(named) : &sfd_drivers[0];
	if (named != NULL && any_images(store, store->driver))
		return 0;
	found = find_driver(store);
	if (named == NULL && found != NULL) {
		store->driver = found;
		return 0;
	}
	if (found != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
			"%s: there is no %s store here, but one of the other driver; name it with "
			"--storage-driver",
			store->config.root, named);
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"%s: there is no container store here; --root names another", store->config.root);
}

/* Container layers, and perhaps more, are recorded in a file of their own. */
static int open_volatile(struct splitfd_store *store, struct splitfd_error *err)
{
	const char *path = store->config.transient ? store->config.runroot : store->config.root;
	int fd = sfd_store_open_root(path);

	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		return splitfd_error_sys(err, -fd, "%s: cannot open", path);
	store->volatile_fd = fd < 0 ? -EBADF : fd;
	return 0;
}

/* Root may open every file, in a user namespace too. */
static int make_opener(struct splitfd_store *store, const char *program, struct splitfd_error *err)
{
	const struct sfd_driver *driver = store->driver;
	int dirs[SFD_OPENER_DIRS_MAX];
	size_t n = 0;

	_Static_assert(SFD_PLACES_MAX <= SFD_OPENER_DIRS_MAX, "a directory for each place");

	if (program == NULL || geteuid() == 0)
		return 0;
	for (size_t i = 0; i < store->n_places; i++) {
		int fd = store->places[i].fd;

		if (fd >= 0)
			fd = sfd_store_open_dir(fd, driver->directory, true);
		if (fd >= 0)
			dirs[n++] = fd;
	}
	return n > 0 ? sfd_opener_new(program, dirs, n, driver->levels, store->lock.cancel_fd,
			       &store->opener, err)
		     : 0;
}

static int copy_text(const char *text, char **ret, struct splitfd_error *err)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text != NULL && *ret == NULL ? splitfd_error_oom(err) : 0;
}

static int copy_platform(const struct splitfd_store_options *options, struct sfd_platform *ret,
	struct splitfd_error *err)
{
	int r = copy_text(options->arch, &ret->arch, err);

	if (r == 0)
		r = copy_text(options->os, &ret->os, err);
	return r == 0 ? copy_text(options->variant, &ret->variant, err) : r;
}

int splitfd_store_open(const struct splitfd_store_options *options, struct splitfd_store **ret,
	struct splitfd_error *err)
{
	sfd_cleanup(store_cleanup) struct splitfd_store *store = calloc(1, sizeof(*store));
	int r;

	if (store == NULL)
		return splitfd_error_oom(err);
	store->refs = 1;
	store->volatile_fd = store->spool_fd = -EBADF;
	if (options != NULL)
		store->lock = sfd_store_lock_options(options, options->cancel_fd);
	r = options != NULL ? copy_platform(options, &store->platform, err) : 0;
	if (r >= 0)
		r = sfd_store_discover(options, NULL, &store->config, err);
	if (r >= 0)
		r = add_places(store, err);
	if (r >= 0)
		r = choose_driver(store, err);
	if (r >= 0)
		r = open_volatile(store, err);
	if (r >= 0)
		r = sfd_short_names_load(&store->short_names, NULL, err);
	if (r >= 0)
		r = make_opener(store, options != NULL ? options->rootless_helper : NULL, err);
	if (r < 0)
		return r;
	*ret = sfd_take_ptr(&store);
	return 0;
}
