/* SPDX-License-Identifier: Apache-2.0 */
#include "splitfdstream/base/fd.h"
#include "splitfdstream/base/text.h"
#include "splitfdstream/digest.h"
#include "splitfdstream/reconstruct.h"
#include "tests/unit/check.h"
#include "tests/unit/gzip-memfd.h"
#include "tests/unit/temp-dir.h"
#include "transport/containers-storage/layer-files.h"
#include "transport/containers-storage/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A tar-split under construction. */
static char json[65536];
static size_t json_len;

static void segment(const void *data, size_t n)
{
	json_len += (size_t)sprintf(json + json_len, "{\"type\":2,\"payload\":\"");
	json_len += sfd_base64_encode(data, n, json + json_len);
	json_len += (size_t)sprintf(json + json_len, "\",\"position\":0}\n");
}

static void member(const char *name, uint64_t size, uint64_t crc)
{
	char text[16];
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(crc >> (56 - 8 * i));
	sfd_base64_encode(bytes, 8, text);
	json_len += (size_t)sprintf(json + json_len,
		"{\"type\":1,\"name\":\"%s\",\"size\":%llu,\"payload\":\"%s\",\"position\":0}\n",
		name, (unsigned long long)size, text);
}

static void content(const char *name, const char *text)
{
	member(name, strlen(text), splitfd_crc64(0, text, strlen(text)));
}

static void header(const char *name, char type)
{
	uint8_t block[512] = { 0 };

	memcpy(block, name, strlen(name));
	block[156] = (uint8_t)type;
	segment(block, sizeof(block));
}

static int open_dir(const char *name)
{
	return open(temp_path(name), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void make(int (*call)(const char *path, mode_t mode), const char *name, mode_t mode)
{
	CHECK_INT(call(temp_path(name), mode), 0);
}

static void make_link(const char *target, const char *name)
{
	CHECK_INT(symlink(target, temp_path(name)), 0);
}

struct lowers {
	struct sfd_layer_lowers base;
	int opened, freed;
};

static int lower_open(struct sfd_layer_lowers *base, size_t i)
{
	((struct lowers *)base)->opened++;
	return i == 0 ? open_dir("lower") : -ENOENT;
}

static void lower_free(struct sfd_layer_lowers *base)
{
	((struct lowers *)base)->freed++;
}

static struct splitfd_error err;
static char out[65536];
static size_t out_len;
static int last_dir;

static int take(void *ctx, const void *data, size_t n, struct splitfd_error *e)
{
	(void)ctx;
	(void)e;
	CHECK(n <= sizeof(out) - out_len - 1);
	memcpy(out + out_len, data, n);
	out_len += n;
	out[out_len] = '\0';
	return 0;
}

static struct sfd_layer_desc desc_of(uint64_t size)
{
	struct sfd_layer_desc desc = {
		.layer_id = "abcdef0123456789",
		.diff_id = "sha256:none",
		.diff_size = size,
		.tar_split_fd = gzip_memfd(json, json_len),
		.spool_dir = -EBADF,
		.n_dirs = 1,
	};

	desc.dirs[0] = open_dir("diff");
	return desc;
}

/* The whole stream into `out`. */
static int run(struct sfd_layer_desc *desc)
{
	struct splitfd_source *source = NULL;
	int r = sfd_layer_source_new(desc, &source, &err);

	out_len = 0;
	out[0] = '\0';
	last_dir = -2;
	while (r >= 0) {
		struct splitfd_chunk chunk = { .fd = -EBADF };
		int fd = -EBADF;

		r = splitfd_source_next(source, &chunk, &err);
		if (r <= 0)
			break;
		if (chunk.kind == SPLITFD_CHUNK_INLINE) {
			take(NULL, chunk.data, chunk.data_len, NULL);
			continue;
		}
		r = splitfd_chunk_open(&chunk, &fd, &last_dir, &err);
		if (r >= 0)
			r = splitfd_chunk_read_fd(&chunk, fd, take, NULL, &err);
		sfd_close(fd);
	}
	if (r < 0) {
		struct splitfd_chunk chunk = { .fd = -EBADF };

		printf("# %s\n", err.text);
		/* The source's own errors come again; errors of opening are not its own. */
		if (source != NULL && strstr(err.text, "entry") != NULL)
			CHECK_INT(splitfd_source_next(source, &chunk, NULL), r);
	}
	splitfd_source_free(source);
	json_len = 0;
	return r;
}

static int run_sized(uint64_t size)
{
	struct sfd_layer_desc desc = desc_of(size);

	return run(&desc);
}

static void setup(void)
{
	temp_make();
	json_len = 0;
	make(mkdir, "diff", 0700);
}

TEST(a_layer_with_its_files)
{
	setup();
	temp_file("diff/a", "content of a");
	segment("<header>", 8);
	content("./a", "content of a");
	segment("<pad>", 5);
	member("d/", 0, 0);
	segment("", 0);
	CHECK_OK(run_sized(25), &err);
	CHECK_STR(out, "<header>content of a<pad>");
	CHECK_INT(last_dir, 0);
}

TEST(the_sum_of_all_sizes)
{
	setup();
	temp_file("diff/a", "aaaa");
	for (uint64_t size = 6; size <= 10; size++) {
		segment("12345", 5);
		content("a", "aaaa");
		CHECK_INT(run_sized(size), size == 9 ? 0 : -EINVAL);
	}
	member("a", (uint64_t)1 << 53, 1);
	CHECK_INT(run_sized(10), -EINVAL);
}

TEST(names_are_cleaned)
{
	static const struct {
		const char *name, *clean;
	} cases[] = {
		{ "a", "a" },
		{ "./a", "a" },
		{ "/a", "a" },
		{ "//a//b/", "a/b" },
		{ "a/./b", "a/b" },
		{ "a/../b", "b" },
		{ "../a", "a" },
		{ "../../../../etc/x", "etc/x" },
		{ "a/b/../../../c", "c" },
		{ "...", "..." },
		{ "..a/.b", "..a/.b" },
		{ "", NULL },
		{ ".", NULL },
		{ "/", NULL },
		{ "a/..", NULL },
		{ "..", NULL },
	};
	char clean[SPLITFD_NAME_MAX + 1], name[SPLITFD_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = sfd_layer_clean_name(cases[i].name, strlen(cases[i].name), clean);

		printf("# %s\n", cases[i].name);
		CHECK_INT(r, cases[i].clean != NULL ? (int)strlen(cases[i].clean) : -EINVAL);
		if (r > 0)
			CHECK_STR(clean, cases[i].clean);
	}
	memset(name, 'x', sizeof(name));
	CHECK_INT(sfd_layer_clean_name(name, SPLITFD_NAME_MAX, clean), SPLITFD_NAME_MAX);
	CHECK_INT(sfd_layer_clean_name(name, SPLITFD_NAME_MAX + 1, clean), -ENAMETOOLONG);
	CHECK_INT(sfd_layer_clean_name("a\0b", 3, clean), -EINVAL);
}

TEST(nothing_outside_is_opened)
{
	setup();
	temp_file("secret", "outside");
	make_link("..", "diff/up");
	make_link("/", "diff/root");
	make_link("../secret", "diff/link");
	content("../secret", "outside");
	CHECK_INT(run_sized(UINT64_MAX), -ENOENT);
	content("up/secret", "outside");
	CHECK_INT(run_sized(UINT64_MAX), -ENOENT);
	content("root/etc/hostname", "outside");
	CHECK_INT(run_sized(UINT64_MAX), -ENOENT);
	content("link", "outside");
	CHECK_INT(run_sized(UINT64_MAX), -EINVAL);
	CHECK(strstr(err.text, "a symlink") != NULL);
	/* The same names, clamped, where the file is inside. */
	temp_file("diff/secret", "inside!");
	content("up/../../secret", "inside!");
	CHECK_OK(run_sized(7), &err);
	content("up/up/secret", "inside!");
	CHECK_OK(run_sized(7), &err);
	CHECK_STR(out, "inside!");
	CHECK_INT(last_dir, -1);
}

TEST(symlinked_parents)
{
	setup();
	make(mkdir, "diff/usr", 0700);
	make(mkdir, "diff/usr/lib", 0700);
	temp_file("diff/usr/lib/x", "library");
	make_link("usr/lib", "diff/lib");
	make_link("/usr/lib", "diff/lib64");
	content("lib/x", "library");
	CHECK_OK(run_sized(7), &err);
	CHECK_INT(last_dir, -1);
	content("lib64/x", "library");
	CHECK_OK(run_sized(7), &err);
	CHECK_STR(out, "library");
}

TEST(what_is_no_file)
{
	setup();
	make(mkdir, "diff/dir", 0700);
	make(mkfifo, "diff/fifo", 0600);
	make_link("/dev/zero", "diff/zero");
	content("dir", "x");
	CHECK_INT(run_sized(1), -EINVAL);
	CHECK(strstr(err.text, "dir: is a directory") != NULL);
	content("fifo", "x");
	CHECK_INT(run_sized(1), -EINVAL);
	CHECK(strstr(err.text, "fifo: is a FIFO") != NULL);
	content("zero", "x");
	CHECK_INT(run_sized(1), -EINVAL);
	temp_file("diff/long", "xx");
	content("long", "x");
	CHECK_INT(run_sized(1), -EINVAL);
	CHECK(strstr(err.text, "long: has 2 bytes") != NULL);
	CHECK(strstr(err.text, "layer abcdef012345 (sha256:none)") != NULL);
	content("long/x", "x");
	CHECK_INT(run_sized(1), -ENOENT);
	CHECK(strstr(err.text, "missing") != NULL);
	temp_file("diff/changed", "y");
	content("changed", "x");
	CHECK_INT(run_sized(1), -EBADMSG);
}

TEST(entries_that_make_no_sense)
{
	setup();
	json_len = (size_t)sprintf(
		json, "{\"type\":1,\"name\":\"a\",\"size\":3,\"payload\":null,\"position\":0}");
	CHECK_INT(run_sized(UINT64_MAX), -EINVAL);
	CHECK(strstr(err.text, "CRC-64") != NULL);
	member("..", 3, 7);
	CHECK_INT(run_sized(UINT64_MAX), -EINVAL);
}

TEST(links_with_a_size_have_no_content)
{
	setup();
	header("b", '1');
	member("b", 70, 0);
	header("c", '2');
	member("c", 5, 0);
	CHECK_OK(run_sized(1024), &err);
	/* A file of such a CRC-64 is a file all the same. */
	header("d", '0');
	member("d", 5, 0);
	CHECK_INT(run_sized(UINT64_MAX), -ENOENT);
}

TEST(lowers_are_opened_when_needed)
{
	struct lowers lowers = { { 2, lower_open, lower_free }, 0, 0 };
	struct sfd_layer_desc desc;

	setup();
	make(mkdir, "lower", 0700);
	temp_file("diff/a", "own");
	temp_file("lower/b", "below");
	content("a", "own");
	desc = desc_of(3);
	desc.lowers = &lowers.base;
	CHECK_OK(run(&desc), &err);
	CHECK_INT(lowers.opened, 0);
	content("b", "below");
	desc = desc_of(5);
	desc.lowers = &lowers.base;
	CHECK_OK(run(&desc), &err);
	CHECK_STR(out, "below");
	CHECK_INT(last_dir, -1);
	content("c", "gone");
	desc = desc_of(4);
	desc.lowers = &lowers.base;
	CHECK_INT(run(&desc), -ENOENT);
	CHECK(strstr(err.text, "was removed") != NULL);
	CHECK_INT(lowers.freed, 3);
}

TEST(a_layer_that_was_removed)
{
	struct sfd_layer_desc desc;

	setup();
	content("a", "x");
	desc = desc_of(1);
	CHECK_INT(rmdir(temp_path("diff")), 0);
	CHECK_INT(run(&desc), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "was removed") != NULL);
}

TEST(content_by_digest)
{
	static const char toc[] =
		"{\"version\":1,\"entries\":[{\"type\":\"dir\",\"name\":\"usr/\"},"
		"{\"type\":\"reg\",\"name\":\"usr/b\",\"digest\":\"sha256:"
		"bb00000000000000000000000000000000000000000000000000000000000001\"},"
		"{\"type\":\"reg\",\"name\":\"./usr/a\",\"digest\":\"sha256:"
		"aa00000000000000000000000000000000000000000000000000000000000002\"},"
		"{\"type\":\"chunk\",\"name\":\"usr/a\"}]}";
	struct sfd_layer_desc desc;

	setup();
	make(mkdir, "diff/aa", 0700);
	temp_file("diff/aa/00000000000000000000000000000000000000000000000000000000000002", "aaa");
	for (int i = 0; i < 4; i++) {
		content(i == 1 ? "usr/c" : "usr/a", "aaa");
		desc = desc_of(3);
		desc.layout = SFD_LAYER_COMPOSEFS;
		desc.toc = i == 3 ? NULL : strdup(toc);
		desc.toc_size = sizeof(toc) - 1 - (i == 2);
		CHECK_INT(run(&desc), i == 0 ? 0 : -EINVAL);
		if (i == 0)
			CHECK_INT(last_dir, 0);
		if (i > 0)
			CHECK(strstr(err.text, "table of contents") != NULL);
	}
}
