/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/discover.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/conf/conf-files.h"
#include "transport/containers-storage/conf/storage-conf.h"
#include "transport/containers-storage/conf/store-paths.h"
#include "transport/containers-storage/driver.h"

#include <string.h>

SFD_DEFINE_CLEANUP(conf_cleanup, struct sfd_conf, sfd_conf_free);

void sfd_store_config_done(struct sfd_store_config *config)
{
	free(config->root);
	free(config->runroot);
	free(config->imagestore);
	free(config->driver);
	for (size_t i = 0; i < config->n_additional; i++)
		free(config->additional[i]);
	free(config->additional);
	for (size_t i = 0; i < config->n_layer_stores; i++)
		free(config->layer_stores[i]);
	free(config->layer_stores);
	*config = (struct sfd_store_config){ 0 };
}

static bool given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* Adds one additional store, `n` bytes of a path. */
static int add_store(const char *what, const char *path, size_t n, char ***list, size_t *n_list,
	struct splitfd_error *err)
{
	char **v;

	if (*path != '/')
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the additional %s store '%.*s' is not an absolute path", what, (int)n,
			path);
	v = reallocarray(*list, *n_list + 1, sizeof(*v));
	if (v == NULL)
		return splitfd_error_oom(err);
	*list = v;
	v[*n_list] = strndup(path, n);
	if (v[*n_list] == NULL)
		return splitfd_error_oom(err);
	(*n_list)++;
	return 0;
}

/* One additional image store, or several with commas between them. */
static int add_stores(struct sfd_store_config *config, const char *value, struct splitfd_error *err)
{
	int r = 0;

	while (r == 0 && *value != '\0') {
		size_t n = strcspn(value, ",");

		if (n > 0)
			r = add_store(
				"image", value, n, &config->additional, &config->n_additional, err);
		value += n + (value[n] == ',');
	}
	return r;
}

/* PATH, or PATH:ref, where the store wants references in its names. */
static int add_layer_store(
	struct sfd_store_config *config, const char *value, struct splitfd_error *err)
{
	size_t n = strcspn(value, ":");

	return n == 0 ? 0
		      : add_store("layer", value, n, &config->layer_stores, &config->n_layer_stores,
				err);
}

/* True where the option is for a driver of that name ("" for all) and the store has another. */
static bool is_of_other_driver(const struct sfd_store_config *config, const char *driver)
{
	if (strcasecmp(driver, "overlay2") == 0)
		driver = "overlay";
	return *driver != '\0' && config->driver != NULL && strcasecmp(driver, config->driver) != 0;
}

/* Options that say how to mount or to write, which a reader does not do. */
static bool is_writers_option(const char *key)
{
	static const char *const keys[] = { "override_kernel_check", "mountopt", "size", "inodes",
		"mount_program", "skip_mount_home", "ignore_chown_errors", "force_mask",
		"use_composefs", "sync" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcasecmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* One driver option, `n` bytes of [DRIVER.]KEY=VALUE. One that no driver knows is refused, as by
 * container tools: it may say where images are. */
static int apply_option(
	struct sfd_store_config *config, const char *option, size_t n, struct splitfd_error *err)
{
	sfd_cleanup_free char *copy = strndup(option, n);
	char *value, *key = copy, *dot;

	if (copy == NULL)
		return splitfd_error_oom(err);
	value = strchr(copy, '=');
	if (value == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the storage option '%s' is not KEY=VALUE", copy);
	*value++ = '\0';
	dot = strchr(copy, '.');
	if (dot != NULL) {
		*dot = '\0';
		key = dot + 1;
		if (is_of_other_driver(config, copy))
			return 0;
	}
	if (strcasecmp(key, "imagestore") == 0 || strcasecmp(key, "additionalimagestore") == 0)
		return add_stores(config, value, err);
	if (strcasecmp(key, "additionallayerstore") == 0)
		return add_layer_store(config, value, err);
	if (is_writers_option(key))
		return 0;
	return splitfd_error_set(
		err, SPLITFD_ERROR_USAGE, EINVAL, "the storage option '%s' is not known", key);
}

/* STORAGE_OPTS: options with commas between them. */
static int apply_list(struct sfd_store_config *config, const char *list, struct splitfd_error *err)
{
	while (*list != '\0') {
		size_t n = strcspn(list, ",");
		int r = n > 0 ? apply_option(config, list, n, err) : 0;

		if (r < 0)
			return splitfd_error_wrap(err, r, "STORAGE_OPTS");
		list += n + (list[n] == ',');
	}
	return 0;
}

static int find_additional(const struct splitfd_store_options *options, const struct sfd_conf *conf,
	struct sfd_store_config *config, struct splitfd_error *err)
{
	const char *from_env = getenv("STORAGE_OPTS");
	const char *const *stores = NULL;
	size_t n = 0;
	int r = 0;

	if (options->options != NULL) {
		for (size_t i = 0; r >= 0 && options->options[i] != NULL; i++)
			r = apply_option(
				config, options->options[i], strlen(options->options[i]), err);
		return r;
	}
	if (options->root != NULL || options->driver != NULL || options->from_specifier)
		return 0;
	if (from_env != NULL)
		return apply_list(config, from_env, err);
	r = sfd_conf_array(conf, "storage.options.additionalimagestores", &stores, &n, err);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_stores(config, stores[i], err);
	if (r >= 0)
		r = sfd_conf_array(conf, "storage.options.additionallayerstores", &stores, &n, err);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_layer_store(config, stores[i], err);
	return r;
}

/* The driver that was named, in this order: option, STORAGE_DRIVER, storage.conf. The last two do
 * not speak of a store that a reference's specifier names. */
static int named_driver(const struct splitfd_store_options *options, const struct sfd_conf *conf,
	const char **ret, struct splitfd_error *err)
{
	*ret = options->driver;
	if (given(*ret) || options->from_specifier)
		return 0;
	*ret = getenv("STORAGE_DRIVER");
	return given(*ret) ? 0 : sfd_conf_string(conf, "storage.driver", ret, err);
}

static int find_driver(const struct splitfd_store_options *options, const struct sfd_conf *conf,
	struct sfd_store_config *config, struct splitfd_error *err)
{
	const struct sfd_driver *found;
	const char *driver;
	int r = named_driver(options, conf, &driver, err);

	if (r < 0 || !given(driver))
		return r;
	if (strcmp(driver, "btrfs") == 0 || strcmp(driver, "zfs") == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EOPNOTSUPP,
			"the storage driver %s keeps layers in subvolumes that must be mounted; "
			"only overlay and vfs can be read",
			driver);
	found = sfd_driver_find(driver);
	if (found == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the storage driver '%s' is not known; overlay and vfs can be read",
			driver);
	config->driver = strdup(found->name);
	return config->driver == NULL ? splitfd_error_oom(err) : 0;
}

/* A path of storage.conf, expanded; *ret stays NULL where the key is absent or empty. */
static int conf_path(
	const struct sfd_conf *conf, const char *key, char **ret, struct splitfd_error *err)
{
	const char *value = NULL;
	int r = sfd_conf_string(conf, key, &value, err);

	if (r < 0 || !given(value))
		return r;
	return sfd_store_expand_path(value, ret, err);
}

static int check_absolute(const char *what, const char *path, struct splitfd_error *err)
{
	if (path == NULL || *path == '/')
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"the %s '%s' is not an absolute path", what, path);
}

/* A path of the command line may be relative, as podman's. */
static int option_path(const char *option, const char *path, char **ret, struct splitfd_error *err)
{
	int r = sfd_store_resolve_path(path, ret, err);

	if (r < 0 || **ret == '/')
		return r;
	return splitfd_error_set(err, SPLITFD_ERROR_NOT_FOUND, ENOENT,
		"the directory '%s' of %s does not exist", path, option);
}

static int find_roots(const struct splitfd_store_options *options, const struct sfd_conf *conf,
	struct sfd_store_config *config, struct splitfd_error *err)
{
	int r = 0;

	if (given(options->root))
		r = option_path("--root", options->root, &config->root, err);
	else
		r = conf_path(conf, "storage.graphroot", &config->root, err);
	if (r >= 0 && config->root == NULL && sfd_store_rootless())
		r = conf_path(conf, "storage.rootless_storage_path", &config->root, err);
	if (r >= 0 && config->root == NULL)
		r = sfd_store_default_root(&config->root, err);
	if (r < 0)
		return r;
	if (given(options->runroot))
		r = option_path("--runroot", options->runroot, &config->runroot, err);
	else
		r = conf_path(conf, "storage.runroot", &config->runroot, err);
	if (r >= 0 && config->runroot == NULL)
		r = sfd_store_default_runroot(&config->runroot, err);
	if (r >= 0)
		r = check_absolute("storage root", config->root, err);
	if (r >= 0)
		r = check_absolute("run root", config->runroot, err);
	return r;
}

/* What a reference's specifier leaves out altogether: the split store, the transient store. */
static int find_places(const struct splitfd_store_options *options, const struct sfd_conf *conf,
	struct sfd_store_config *config, struct splitfd_error *err)
{
	int r = 0;

	if (given(options->imagestore))
		r = sfd_store_resolve_path(options->imagestore, &config->imagestore, err);
	else if (!options->from_specifier)
		r = conf_path(conf, "storage.imagestore", &config->imagestore, err);
	if (r >= 0 && !options->from_specifier)
		r = sfd_conf_bool(conf, "storage.transient_store", &config->transient, err);
	if (r >= 0)
		r = check_absolute("image store", config->imagestore, err);
	if (r >= 0 && config->imagestore != NULL && strcmp(config->imagestore, config->root) == 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"imagestore and graphroot are both %s; they must differ", config->root);
	return r;
}

static int load_conf(void *ctx, const char *path, struct splitfd_error *err)
{
	return sfd_conf_load(ctx, path, err);
}

int sfd_store_discover(const struct splitfd_store_options *options,
	const struct sfd_discover_dirs *dirs, struct sfd_store_config *config,
	struct splitfd_error *err)
{
	static const struct splitfd_store_options nothing = { 0 };
	struct sfd_conf_files files = { .name = "storage",
		.variable = "CONTAINERS_STORAGE_CONF",
		.override = "CONTAINERS_STORAGE_CONF_OVERRIDE",
		.load = load_conf };
	sfd_cleanup(conf_cleanup) struct sfd_conf *conf = sfd_conf_new();
	int r;

	if (conf == NULL)
		return splitfd_error_oom(err);
	if (options == NULL)
		options = &nothing;
	files.ctx = conf;
	r = sfd_conf_files_load(&files, dirs, err);
	if (r >= 0)
		r = find_roots(options, conf, config, err);
	if (r >= 0)
		r = find_places(options, conf, config, err);
	if (r >= 0)
		r = find_driver(options, conf, config, err);
	if (r >= 0)
		r = find_additional(options, conf, config, err);
	return r < 0 ? r : 0;
}
