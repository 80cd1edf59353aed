/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/discover.h"
#include "tests/unit/temp-dir.h"

#include <errno.h>
#include <stdlib.h>

static struct splitfd_error err;
static struct sfd_store_config config;

/* A machine without any configuration, and a user 4242 or root. */
static void fresh(bool rootless)
{
	static const char *const names[] = { "CONTAINERS_STORAGE_CONF",
		"CONTAINERS_STORAGE_CONF_OVERRIDE", "STORAGE_DRIVER", "STORAGE_OPTS",
		"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR" };

	temp_make();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(unsetenv(names[i]) == 0);
	CHECK(setenv("HOME", temp_path("home"), 1) == 0);
	CHECK(setenv("_CONTAINERS_ROOTLESS_UID", rootless ? "4242" : "0", 1) == 0);
	sfd_store_config_done(&config);
}

static int discover(const struct splitfd_store_options *options)
{
	const struct sfd_discover_dirs dirs = { .etc = temp_path("etc"), .usr = temp_path("usr") };

	sfd_store_config_done(&config);
	splitfd_error_clear(&err);
	return sfd_store_discover(options, &dirs, &config, &err);
}

TEST(defaults)
{
	fresh(false);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/var/lib/containers/storage");
	CHECK_STR(config.runroot, "/run/containers/storage");
	CHECK(config.driver == NULL && config.imagestore == NULL && !config.transient);
	CHECK_INT(config.n_additional, 0);
	fresh(true);
	CHECK(setenv("XDG_RUNTIME_DIR", "/run/of/user", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, temp_path("home/.local/share/containers/storage"));
	CHECK_STR(config.runroot, "/run/of/user/containers");
	CHECK(setenv("XDG_DATA_HOME", "/data", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/data/containers/storage");
}

TEST(the_first_main_file_counts_alone)
{
	fresh(false);
	temp_file("usr/storage.conf", "[storage]\ngraphroot='/usr-root'\ndriver='vfs'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/usr-root");
	temp_file("etc/storage.conf", "[storage]\ngraphroot='/etc-root'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/etc-root");
	CHECK(config.driver == NULL);
	temp_file("home/.config/containers/storage.conf", "[storage]\nrunroot='/home-run'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/var/lib/containers/storage");
	CHECK_STR(config.runroot, "/home-run");
	temp_file("xdg/containers/storage.conf", "[storage]\ngraphroot='/xdg-root'\n");
	CHECK(setenv("XDG_CONFIG_HOME", temp_path("xdg"), 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/xdg-root");
}

TEST(drop_ins_by_name_over_all_directories)
{
	fresh(false);
	temp_file("usr/storage.conf", "[storage]\ngraphroot='/main'\n");
	temp_file("usr/storage.conf.d/10-a.conf", "[storage]\nrunroot='/usr-10'\ndriver='vfs'\n");
	temp_file("etc/storage.conf.d/10-a.conf", "[storage]\nrunroot='/etc-10'\n");
	temp_file("etc/storage.conf.d/30-c.conf", "[storage]\ngraphroot='/etc-30'\n");
	temp_file("home/.config/containers/storage.conf.d/20-b.conf",
		"[storage]\ngraphroot='/home-20'\n");
	temp_file("etc/storage.rootful.conf.d/05.conf", "[storage]\nimagestore='/rootful'\n");
	temp_file("etc/storage.rootless.conf.d/40.conf", "[storage]\ngraphroot='/rootless'\n");
	temp_file("etc/storage.conf.d/99.conf.bak", "no TOML");
	temp_file("etc/storage.conf.d/dir.conf/file", "no TOML");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/etc-30");
	CHECK_STR(config.runroot, "/etc-10");
	CHECK_STR(config.imagestore, "/rootful");
	CHECK(config.driver == NULL);
	CHECK(setenv("_CONTAINERS_ROOTLESS_UID", "4242", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/rootless");
	CHECK(config.imagestore == NULL);
	temp_file("etc/storage.rootless.conf.d/4242/40.conf", "[storage]\ngraphroot='/mine'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/mine");
}

TEST(drop_ins_that_are_switched_off)
{
	fresh(false);
	temp_file("usr/storage.conf.d/10-a.conf", "[storage]\ngraphroot='/usr-10'\n");
	temp_file("etc/storage.conf.d/20-b.conf", "[storage]\ngraphroot='/etc-20'\n");
	temp_file("home/.config/containers/storage.conf.d/x", "");
	CHECK(symlink("/dev/null", temp_path("home/.config/containers/storage.conf.d/20-b.conf")) ==
		0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/usr-10");
	CHECK(symlink("nothing", temp_path("etc/storage.conf.d/10-a.conf")) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/var/lib/containers/storage");
	CHECK(setenv("CONTAINERS_STORAGE_CONF", "/dev/null", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK(setenv("CONTAINERS_STORAGE_CONF", "/dev/zero", 1) == 0);
	CHECK_INT(discover(NULL), -EINVAL);
	CHECK(unsetenv("CONTAINERS_STORAGE_CONF") == 0);
	/* Set but empty is not unset. */
	temp_file("home/.config/containers/storage.conf", "[storage]\ngraphroot='/home'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/home");
	CHECK(setenv("XDG_CONFIG_HOME", "", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK(strcmp(config.root, "/home") != 0);
}

TEST(named_file_and_override)
{
	fresh(false);
	temp_file("etc/storage.conf.d/10.conf", "[storage]\ngraphroot='/drop-in'\n");
	temp_file("named", "[storage]\ndriver='vfs'\n");
	temp_file("over", "[storage]\nrunroot='/over'\n");
	CHECK(setenv("CONTAINERS_STORAGE_CONF", temp_path("named"), 1) == 0);
	CHECK(setenv("CONTAINERS_STORAGE_CONF_OVERRIDE", temp_path("over"), 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/var/lib/containers/storage");
	CHECK_STR(config.driver, "vfs");
	CHECK_STR(config.runroot, "/over");
	CHECK(setenv("CONTAINERS_STORAGE_CONF_OVERRIDE", temp_path("absent"), 1) == 0);
	CHECK_INT(discover(NULL), -ENOENT);
	CHECK(strncmp(err.text, "CONTAINERS_STORAGE_CONF_OVERRIDE: ", 34) == 0);
	CHECK(unsetenv("CONTAINERS_STORAGE_CONF_OVERRIDE") == 0);
	CHECK(setenv("CONTAINERS_STORAGE_CONF", temp_path("absent"), 1) == 0);
	CHECK_INT(discover(NULL), -ENOENT);
}

TEST(additional_stores_come_from_one_place)
{
	static const char *const option[] = { "overlay.imagestore=/o1,/o2", "overlay.mountopt=x",
		"AdditionalImageStore=/o3", NULL };
	struct splitfd_store_options options = { 0 };

	fresh(false);
	temp_file("etc/storage.conf",
		"[storage.options]\nadditionalimagestores=['/c1', '/c2,/c3', '']\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_INT(config.n_additional, 3);
	CHECK_STR(config.additional[2], "/c3");
	CHECK(setenv("STORAGE_OPTS", "overlay.mountopt=nodev,additionalimagestore=/e1", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_INT(config.n_additional, 1);
	CHECK_STR(config.additional[0], "/e1");
	CHECK(setenv("STORAGE_OPTS", "", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_INT(config.n_additional, 0);
	CHECK(unsetenv("STORAGE_OPTS") == 0);
	options.root = "/elsewhere";
	CHECK_OK(discover(&options), &err);
	CHECK_INT(config.n_additional, 0);
	options.options = option;
	CHECK_OK(discover(&options), &err);
	CHECK_INT(config.n_additional, 3);
	CHECK_STR(config.additional[2], "/o3");
	options = (struct splitfd_store_options){ .driver = "vfs", .options = option };
	CHECK_OK(discover(&options), &err);
	CHECK_INT(config.n_additional, 1);
	CHECK_STR(config.additional[0], "/o3");
	options.driver = "overlay2";
	CHECK_OK(discover(&options), &err);
	CHECK_INT(config.n_additional, 3);
	CHECK(setenv("STORAGE_OPTS", "imagestore", 1) == 0);
	CHECK(discover(NULL) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
	CHECK(setenv("STORAGE_OPTS", "imagestore=relative", 1) == 0);
	CHECK(discover(NULL) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
}

TEST(variables_in_paths)
{
	fresh(true);
	CHECK(setenv("SFD_TEST", "/here", 1) == 0);
	temp_file("etc/storage.conf", "[storage]\ngraphroot='${SFD_TEST}/$UID/x$'\n"
				      "runroot='/run/$UIDs/${UID}/$SFD_UNSET'\n");
	CHECK(unsetenv("UID") == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/here/4242/x$");
	CHECK_STR(config.runroot, "/run/4242s//");
	temp_file("etc/storage.conf", "[storage]\nrootless_storage_path='/less/$UID'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, "/less/4242");
	temp_file("real/place", "");
	CHECK(symlink("real", temp_path("link")) == 0);
	CHECK(setenv("SFD_TEST", temp_path("link"), 1) == 0);
	temp_file("etc/storage.conf", "[storage]\ngraphroot='$SFD_TEST'\n");
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.root, temp_path("real"));
}

TEST(drivers)
{
	struct splitfd_store_options options = { .driver = "overlay2" };

	fresh(false);
	temp_file("etc/storage.conf", "[storage]\ndriver='btrfs'\n");
	CHECK(discover(NULL) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
	CHECK(setenv("STORAGE_DRIVER", "vfs", 1) == 0);
	CHECK_OK(discover(NULL), &err);
	CHECK_STR(config.driver, "vfs");
	CHECK_OK(discover(&options), &err);
	CHECK_STR(config.driver, "overlay");
	options.driver = "aufs";
	CHECK(discover(&options) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
}

TEST(a_specifier_leaves_the_split_out)
{
	struct splitfd_store_options options = { .root = "/r", .from_specifier = true };

	fresh(false);
	temp_file("etc/storage.conf", "[storage]\nimagestore='/images'\ntransient_store=true\n");
	CHECK_OK(discover(&options), &err);
	CHECK(config.imagestore == NULL && !config.transient);
	options.from_specifier = false;
	CHECK_OK(discover(&options), &err);
	CHECK_STR(config.imagestore, "/images");
	CHECK(config.transient);
	CHECK(setenv("STORAGE_DRIVER", "vfs", 1) == 0);
	CHECK_OK(discover(&options), &err);
	CHECK_STR(config.driver, "vfs");
	options.from_specifier = true;
	CHECK_OK(discover(&options), &err);
	CHECK(config.driver == NULL);
	CHECK(unsetenv("STORAGE_DRIVER") == 0);
	options.from_specifier = false;
	options.root = "/images";
	CHECK(discover(&options) < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
	sfd_store_config_done(&config);
}
