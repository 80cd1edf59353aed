/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"
#include "transport/composefs/tree/dumpfile.h"
#include "transport/composefs/tree/tree-layer.h"

#include <errno.h>
#include <stdlib.h>

/* A tree in the making and what it has told. */
struct fixture {
	struct sfd_tree *tree;
	struct splitfd_error err;
	char told[4096];
};

static void note(void *ctx, const char *text)
{
	struct fixture *f = ctx;

	strncat(f->told, text, sizeof(f->told) - strlen(f->told) - 2);
	strcat(f->told, "\n");
}

static void start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	CHECK_OK(sfd_tree_new(SPLITFD_SHA256, &f->tree, &f->err), &f->err);
	sfd_tree_on_deviation(f->tree, note, f);
}

static int put(struct fixture *f, enum sfd_tree_type type, const char *path, const char *target)
{
	struct sfd_tree_item item = {
		.type = type,
		.path = path,
		.path_len = strlen(path),
		.mode = 0750,
		.mtime = 5,
		.target = target,
		.target_len = target != NULL ? strlen(target) : 0,
	};

	return sfd_tree_put_layered(f->tree, &item, &f->err);
}

static void put_ok(struct fixture *f, enum sfd_tree_type type, const char *path, const char *target)
{
	CHECK_OK(put(f, type, path, target), &f->err);
}

/* The paths of the dump, with link counts, hard links as PATH=TARGET. */
static void check_paths(struct fixture *f, const char *want)
{
	char *text = NULL, got[4096] = "";
	size_t size, n = 0;
	FILE *out = open_memstream(&text, &size);

	CHECK_OK(sfd_dump_write(f->tree, out, &f->err), &f->err);
	fclose(out);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char path[256], mode[16], links[16], target[256];

		CHECK_INT(sscanf(line, "%255s %*s %15s %15s %*s %*s %*s %*s %255s", path, mode,
				  links, target),
			4);
		n += (size_t)snprintf(got + n, sizeof(got) - n,
			mode[0] == '@' ? "%s=%s " : "%s:%s ", path,
			mode[0] == '@' ? target : links);
	}
	free(text);
	CHECK_STR(got, want);
	f->tree = sfd_tree_free(f->tree);
}

TEST(whiteouts_and_opaque_directories)
{
	struct fixture f;

	start(&f);
	put_ok(&f, SFD_TREE_DIRECTORY, "usr/", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/a", NULL);
	put_ok(&f, SFD_TREE_FILE, "./usr//b", NULL);
	put_ok(&f, SFD_TREE_DIRECTORY, "/usr/d", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/d/x", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/.wh.a", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/.wh.nothing", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/.wh.", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/d/.wh..wh..opq", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/d/y", NULL);
	CHECK_OK(sfd_tree_freeze(f.tree, &f.err), &f.err);
	CHECK_STR(f.told, "");
	check_paths(&f, "/:3 /usr:3 /usr/b:1 /usr/d:2 /usr/d/y:1 ");
}

TEST(hard_links_and_replacements)
{
	struct fixture f;

	start(&f);
	put_ok(&f, SFD_TREE_FILE, "b", NULL);
	put_ok(&f, SFD_TREE_HARDLINK, "a", "/b");
	put_ok(&f, SFD_TREE_HARDLINK, "c", "./a");
	put_ok(&f, SFD_TREE_FILE, "b", NULL); /* the others keep theirs */
	put_ok(&f, SFD_TREE_DIRECTORY, "d", NULL);
	put_ok(&f, SFD_TREE_FILE, "d/x", NULL);
	put_ok(&f, SFD_TREE_SYMLINK, "d", "a");
	put_ok(&f, SFD_TREE_DIRECTORY, "b", NULL);
	CHECK_INT(put(&f, SFD_TREE_HARDLINK, "e", "gone"), -EOPNOTSUPP);
	CHECK_INT(put(&f, SFD_TREE_HARDLINK, "e", "e"), -EOPNOTSUPP);
	CHECK_INT(put(&f, SFD_TREE_HARDLINK, "e", "b"), -EINVAL);    /* a directory */
	CHECK_INT(put(&f, SFD_TREE_FILE, "d/y", NULL), -EOPNOTSUPP); /* below a symlink */
	CHECK_OK(sfd_tree_freeze(f.tree, &f.err), &f.err);
	check_paths(&f, "/:3 /a:2 /b:2 /c=/a /d:1 ");
}

TEST(parents_that_are_missing)
{
	struct fixture f;

	start(&f);
	put_ok(&f, SFD_TREE_FILE, "usr/x/y", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/z/y", NULL);
	CHECK_OK(sfd_tree_finish_oci(f.tree, 0, &f.err), &f.err);
	CHECK_STR(f.told, "the directory of usr/x/y has no entry; made as 0755, root's, with the "
			  "time of what is in it\n");
	check_paths(&f, "/:3 /usr:4 /usr/x:2 /usr/x/y:1 /usr/z:2 /usr/z/y:1 ");
}

TEST(old_directories)
{
	struct fixture f;
	struct sfd_tree_item item = { .type = SFD_TREE_FILE,
		.maybe_directory = true,
		.path = "usr/",
		.path_len = 4,
		.mode = 0700 };

	start(&f);
	put_ok(&f, SFD_TREE_DIRECTORY, "usr", NULL);
	put_ok(&f, SFD_TREE_FILE, "usr/a", NULL);
	CHECK_OK(sfd_tree_put_layered(f.tree, &item, &f.err), &f.err);
	put_ok(&f, SFD_TREE_FILE, "usr/b", NULL); /* now it is one, with what was in it */
	item.path = "empty/";
	item.path_len = 6;
	CHECK_OK(sfd_tree_put_layered(f.tree, &item, &f.err), &f.err);
	CHECK_OK(sfd_tree_freeze(f.tree, &f.err), &f.err);
	CHECK(strstr(f.told, "taken for a directory") != NULL);
	check_paths(&f, "/:3 /empty:1 /usr:2 /usr/a:1 /usr/b:1 ");
}

TEST(times_before_1970)
{
	struct fixture f;
	struct sfd_tree_item item = { .type = SFD_TREE_DIRECTORY,
		.path = "usr",
		.path_len = 3,
		.mtime = -2,
		.mtime_nsec = 5,
		.before_1970 = true };

	start(&f);
	CHECK_OK(sfd_tree_put_layered(f.tree, &item, &f.err), &f.err);
	CHECK_OK(sfd_tree_finish_oci(f.tree, 0, &f.err), &f.err);
	CHECK_STR(f.told, "the time of usr is before 1970 and kept\n");
	check_paths(&f, "/:3 /usr:2 ");
}

TEST(the_rules_of_oci)
{
	struct fixture f;

	start(&f);
	put_ok(&f, SFD_TREE_DIRECTORY, "run", NULL);
	put_ok(&f, SFD_TREE_FILE, "run/x", NULL);
	put_ok(&f, SFD_TREE_FILE, "a", NULL);
	CHECK_OK(sfd_tree_finish_oci(f.tree, 0, &f.err), &f.err);
	CHECK(strstr(f.told, "no directory /usr") != NULL);
	check_paths(&f, "/:3 /a:1 /run:2 ");
}

TEST(hostile_names)
{
	static char name[300], path[5000];
	struct fixture f;
	struct sfd_tree_item nul = { .type = SFD_TREE_FILE, .path = "a\0b", .path_len = 3 };

	memset(name, 'n', sizeof(name) - 1);
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 2 == 0 ? 'p' : '/';
	start(&f);
	CHECK_INT(put(&f, SFD_TREE_FILE, name, NULL), -EINVAL);
	CHECK_INT(put(&f, SFD_TREE_DIRECTORY, path, NULL), -EINVAL);
	CHECK_INT(put(&f, SFD_TREE_FILE, "a/../b", NULL), -EOPNOTSUPP);
	CHECK_INT(put(&f, SFD_TREE_FILE, "/", NULL), -EINVAL);
	CHECK_INT(put(&f, SFD_TREE_SYMLINK, "s", path), -EINVAL);
	CHECK_INT(put(&f, SFD_TREE_HARDLINK, "s", path), -EINVAL);
	CHECK_INT(sfd_tree_put(f.tree, &nul, &f.err), -EINVAL);
	CHECK_INT(f.err.kind, SPLITFD_ERROR_REFUSED);
	name[255] = '\0';
	put_ok(&f, SFD_TREE_FILE, name, NULL);
	sfd_tree_free(f.tree);
	/* A whiteout of such a name; no directory may have one as long. */
	start(&f);
	put_ok(&f, SFD_TREE_FILE, name, NULL);
	(void)snprintf(path, sizeof(path), ".wh.%s", name);
	put_ok(&f, SFD_TREE_FILE, path, NULL);
	(void)snprintf(path, sizeof(path), ".wh.%s/x", name);
	CHECK_INT(put(&f, SFD_TREE_FILE, path, NULL), -EINVAL);
	(void)snprintf(path, sizeof(path), ".wh.%sn", name);
	CHECK_INT(put(&f, SFD_TREE_FILE, path, NULL), -EINVAL);
	CHECK_OK(sfd_tree_freeze(f.tree, &f.err), &f.err);
	check_paths(&f, "/:2 ");
	sfd_tree_free(f.tree);
}

TEST(a_whiteout_device_has_one_name)
{
	struct fixture f;

	start(&f);
	put_ok(&f, SFD_TREE_CHARACTER, "a", NULL);
	put_ok(&f, SFD_TREE_HARDLINK, "b", "a");
	CHECK_INT(sfd_tree_freeze(f.tree, &f.err), -EOPNOTSUPP);
	CHECK(strstr(f.err.text, "/b") != NULL);
	sfd_tree_free(f.tree);
}

TEST(a_layer_that_is_no_tar)
{
	struct sfd_tree_layer *layer;
	struct splitfd_error err = { 0 };
	struct splitfd_digest digest = { .size = 32 };
	static const uint8_t junk[2048] = { 1, 2, 3 };
	struct fixture f;

	start(&f);
	CHECK_OK(sfd_tree_layer_new(SPLITFD_SHA256, "sha256:1234", 0, &layer, &err), &err);
	const struct sfd_stream_listener *l = sfd_tree_layer_listener(layer);

	/* the listener never fails: the layer is stored all the same */
	CHECK_INT(l->inline_data(l->ctx, junk, sizeof(junk), &err), 0);
	CHECK_INT(l->object(l->ctx, &digest, 7, &err), 0);
	CHECK_INT(sfd_tree_layer_finish(layer, &err), -EINVAL);
	CHECK(strstr(err.text, "layer sha256:1234: ") == err.text);
	CHECK_INT(sfd_tree_apply(f.tree, layer, &f.err), -EINVAL);
	sfd_tree_layer_free(layer);
	sfd_tree_free(f.tree);
}

/* "N/a/a/…/f", of `depth` directories */
static int put_deep(struct fixture *f, size_t n, size_t depth)
{
	char path[4096];
	size_t len = (size_t)snprintf(path, sizeof(path), "%zu", n);

	for (size_t i = 1; i < depth; i++, len += 2)
		memcpy(path + len, "/a", 3);
	memcpy(path + len, "/f", 3);
	return put(f, SFD_TREE_FIFO, path, NULL);
}

TEST(directories_that_no_entry_is_for_have_a_bound)
{
	struct fixture f;
	size_t n = 0;

	/* 4 KB of path, which compress to nothing, are 2,000 directories */
	start(&f);
	while (n < 1000 && put_deep(&f, n, 2000) == 0)
		n++;
	CHECK_INT(f.err.errnum, EOPNOTSUPP);
	CHECK(strstr(f.err.text, "more than 65536, and 64 for each entry") != NULL);
	CHECK(n >= 32 && n < 64);
	sfd_tree_free(f.tree);

	/* what podman's users have: files without entries for their directories */
	start(&f);
	for (n = 0; n < 100000; n++)
		CHECK_OK(put_deep(&f, n, 12), &f.err);
	sfd_tree_free(f.tree);
}
