/* SPDX-License-Identifier: Apache-2.0 */
/* registries.conf: what makes a file invalid, and what its files come to. The same beside
 * container-libs, on files made by chance, is in tests/interop/container-libs. */
#include "transport/containers-storage/conf/short-names.h"
#include "tests/unit/temp-dir.h"

#include <stdlib.h>

static struct splitfd_error err;

static void put(const char *path, const char *text)
{
	FILE *f = fopen(temp_path(path), "we");

	CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void fresh(void)
{
	temp_make();
	CHECK_INT(mkdir(temp_path("etc"), 0700) | mkdir(temp_path("usr"), 0700), 0);
	CHECK(unsetenv("CONTAINERS_REGISTRIES_CONF") == 0);
	CHECK(unsetenv("CONTAINERS_REGISTRIES_CONF_OVERRIDE") == 0);
	CHECK(setenv("XDG_CONFIG_HOME", temp_path("xdg"), 1) == 0);
	CHECK(setenv("XDG_CACHE_HOME", temp_path("cache"), 1) == 0);
	CHECK(setenv("_CONTAINERS_ROOTLESS_UID", "4242", 1) == 0);
}

/* All that `name` may stand for, joined by spaces; NULL where the configuration is refused. */
static const char *meaning(const char *name)
{
	static char text[1024];
	const struct sfd_discover_dirs dirs = { .etc = temp_path("etc"), .usr = temp_path("usr") };
	struct sfd_short_names names = { 0 };
	struct sfd_docker_ref ref, full;
	int r;

	text[0] = '\0';
	CHECK_OK(sfd_short_names_load(&names, &dirs, &err), &err);
	CHECK(sfd_docker_ref_parse(name, &ref) == NULL);
	for (size_t i = 0; (r = sfd_short_names_step(&names, &ref, i, &full)) >= 0; i++) {
		if (r > 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				text[0] != '\0' ? " " : "", full.repository);
	}
	err = names.wrong;
	sfd_short_names_done(&names);
	return err.kind == SPLITFD_ERROR_NONE ? text : NULL;
}

TEST(files_of_all_levels)
{
	fresh();
	CHECK_STR(meaning("a"), "localhost/a docker.io/library/a");
	put("usr/registries.conf", "unqualified-search-registries = ['u.example//']\n");
	CHECK_STR(meaning("a"), "localhost/a u.example/a docker.io/library/a");
	put("etc/registries.conf", "unqualified-search-registries = ['e.example']\n");
	CHECK_STR(meaning("a"), "localhost/a e.example/a docker.io/library/a");
	CHECK_INT(mkdir(temp_path("usr/registries.rootless.conf.d"), 0700) |
			  mkdir(temp_path("usr/registries.rootless.conf.d/4242"), 0700) |
			  mkdir(temp_path("usr/registries.rootful.conf.d"), 0700) |
			  mkdir(temp_path("etc/registries.conf.d"), 0700),
		0);
	put("usr/registries.rootless.conf.d/4242/1.conf", "[aliases]\n'a' = 'u.example/one'\n");
	put("usr/registries.rootful.conf.d/2.conf", "[aliases]\n'a' = 'u.example/root'\n");
	CHECK_STR(meaning("a"), "u.example/one localhost/a e.example/a docker.io/library/a");
	/* A higher level hides the file of that name. */
	put("etc/registries.conf.d/1.conf", "[aliases]\n'b' = 'e.example/two'\n");
	CHECK_STR(meaning("a"), "localhost/a e.example/a docker.io/library/a");
	put("named", "");
	CHECK(setenv("CONTAINERS_REGISTRIES_CONF", temp_path("named"), 1) == 0);
	CHECK_STR(meaning("b"), "localhost/b docker.io/library/b");
	put("last", "[aliases]\n'b' = 'l.example/b'\n");
	CHECK(setenv("CONTAINERS_REGISTRIES_CONF_OVERRIDE", temp_path("last"), 1) == 0);
	CHECK_STR(meaning("b"), "l.example/b localhost/b docker.io/library/b");
	/* In podman's own file only aliases count. */
	CHECK_INT(mkdir(temp_path("cache"), 0700) | mkdir(temp_path("cache/containers"), 0700), 0);
	put("cache/containers/short-name-aliases.conf",
		"short-name-mode = 5\n[aliases]\n'b' = 'mine.example/b'\n");
	CHECK_STR(meaning("b"), "mine.example/b localhost/b docker.io/library/b");
}

TEST(what_podman_takes)
{
	static const char *const texts[] = { "", "[[registry]]\nlocation = 'a.example/b/'\n",
		"[[registry]]\nprefix = '*.a.example'\n", "unheard-of = 'x'\n",
		"registry = [{location = 'a'}, {prefix = '*.b', mirror = [{location = 'm'}]}]\n",
		"[[registry]]\nlocation = 'a'\n[[registry]]\nlocation = 'a'\nprefix = 'b'\n",
		"[[registry]]\nlocation='a'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='"
		"all'\n",
		"[aliases]\n\"a.b\" = ''\n", "aliases = 'x'\n", "[registries]\nother = 1\n" };

	fresh();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put("etc/registries.conf", texts[i]);
		if (meaning("a") == NULL)
			printf("# refused: %s: %s\n", texts[i], err.text);
		CHECK_STR(meaning("a"), "localhost/a docker.io/library/a");
	}
}

TEST(what_podman_refuses)
{
	static const char *const texts[] = { "[[registry]]\n", "[[registry]]\nlocation = ''\n",
		"[[registry]]\nlocation = 'http://a'\n", "[[registry]]\nprefix = 'a.example'\n",
		"[[registry]]\nlocation = 'a'\nprefix = '*.b/c'\n",
		"[[registry]]\nlocation = 'a'\npull-from-mirror = 'all'\n",
		"[[registry]]\nlocation = 'a'\ninsecure = 'true'\n",
		"[[registry]]\nlocation = 'a'\n[[registry.mirror]]\n",
		"[[registry]]\nlocation='a'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='"
		"x'\n",
		"[[registry]]\nlocation='a'\nmirror-by-digest-only=true\n[[registry.mirror]]\n"
		"location='m'\npull-from-mirror='all'\n",
		"[[registry]]\nlocation='a'\nblocked=true\n[[registry]]\nlocation='a/"
		"'\nprefix='b'\n",
		"[[registry]]\nlocation='a'\nlocation='b'\n", "[[registry.mirror]]\nlocation='m'\n",
		"registry = []\n[[registry]]\nlocation = 'a'\n", "[registry]\nlocation = 'a'\n",
		"registry = ['a']\n", "[[other]]\n", "short-name-mode = 'x'\n",
		"short-name-mode = true\n", "unqualified-search-registries = 'a'\n",
		"unqualified-search-registries = ['a/b']\n",
		"unqualified-search-registries = ['-a']\n",
		"unqualified-search-registries = ['a.']\n",
		"unqualified-search-registries = ['']\n",
		"unqualified-search-registries = ['a:']\n",
		"unqualified-search-registries = ['a', {append=true}]\n",
		"credential-helpers = 'a'\n", "[aliases]\n'a:b' = 'c.example/d'\n",
		"[aliases]\n'a' = 'b'\n", "[aliases]\n'a' = 'b/c'\n",
		"[aliases]\n'a' = 'b.c/d:e'\n", "[aliases]\n'a.b/c' = 'd.e/f'\n",
		"[aliases]\na.b = 'c.d/e'\n", "[aliases]\n'a' = 5\n",
		"[registries.search]\nregistries = ['a']\n",
		"[registries.block]\nregistries = []\n" };

	fresh();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put("etc/registries.conf", texts[i]);
		if (meaning("x") != NULL)
			printf("# accepted: %s\n", texts[i]);
		CHECK(meaning("x") == NULL);
		CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
		CHECK(strstr(err.text, "registries.conf line ") != NULL);
	}
}
