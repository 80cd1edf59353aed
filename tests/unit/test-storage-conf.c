/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/storage-conf.h"
#include "tests/unit/check.h"

static struct splitfd_error err;

static int parse(struct sfd_conf *conf, const char *text)
{
	splitfd_error_clear(&err);
	return sfd_conf_parse(conf, text, strlen(text), "storage.conf", &err);
}

/* The error of a text that must not be accepted. */
static const char *refused(const char *text)
{
	struct sfd_conf *conf = sfd_conf_new();
	int r = parse(conf, text);

	sfd_conf_free(conf);
	CHECK(r < 0);
	CHECK_INT(err.kind, SPLITFD_ERROR_USAGE);
	return err.text;
}

TEST(all_kinds_of_strings)
{
	static const char text[] = "[storage]\n"
				   "a = \"x\\t\\\"\\u00e9\\U0001F600\" # why\n"
				   "b = 'C:\\no\\escape'\r\n"
				   "c = \"\"\"\nfirst\n  \\\n   second\"\"\"\n"
				   "d = '''\nit's \"so\"'''''\n"
				   "\"quoted key\" = ''\n"
				   "e.'f'.g = \"dotted\"\n";
	static const char *const want[][2] = { { "a", "x\t\"\xc3\xa9\xf0\x9f\x98\x80" },
		{ "b", "C:\\no\\escape" }, { "c", "first\n  second" }, { "d", "it's \"so\"''" },
		{ "quoted key", "" }, { "e.f.g", "dotted" } };
	struct sfd_conf *conf = sfd_conf_new();

	CHECK_OK(parse(conf, text), &err);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const char *got = NULL;
		char key[64];

		snprintf(key, sizeof(key), "storage.%s", want[i][0]);
		CHECK_INT(sfd_conf_string(conf, key, &got, &err), 1);
		CHECK_STR(got, want[i][1]);
	}
	sfd_conf_free(conf);
}

TEST(types_tables_and_comments)
{
	struct sfd_conf *conf = sfd_conf_new();
	const char *text = "untouched";
	bool truth = false;

	CHECK_OK(parse(conf, "# top\n\n[ storage . options ] # t\n\tn = 1_000\n m = -0\n"
			     "[storage]\ntransient_store = true\n"
			     "pull_options = {a = \"b\", c = { d = 'e' }}\n[empty]"),
		&err);
	CHECK_INT(sfd_conf_bool(conf, "storage.transient_store", &truth, &err), 1);
	CHECK(truth);
	CHECK_INT(sfd_conf_string(conf, "storage.graphroot", &text, &err), 0);
	CHECK_STR(text, "untouched");
	CHECK_INT(sfd_conf_string(conf, "storage.pull_options.c.d", &text, &err), 1);
	CHECK_STR(text, "e");
	CHECK(sfd_conf_string(conf, "storage.options.n", &text, &err) < 0);
	CHECK_STR(err.text,
		"storage.conf line 4: storage.options.n must be a string, not a whole number");
	CHECK(sfd_conf_bool(conf, "storage.pull_options.a", &truth, &err) < 0);
	sfd_conf_free(conf);
}

TEST(arrays_replace_or_grow)
{
	struct sfd_conf *conf = sfd_conf_new();
	const char *const *items;
	size_t n;

	CHECK_OK(parse(conf, "a = [\n  '/one', # first\n  \"/two\",\n]\n"), &err);
	CHECK_INT(sfd_conf_array(conf, "a", &items, &n, &err), 1);
	CHECK_INT(n, 2);
	CHECK_STR(items[1], "/two");
	CHECK_OK(parse(conf, "a = ['/three', {append=true}]"), &err);
	CHECK_OK(parse(conf, "a = ['/four']"), &err);
	CHECK_INT(sfd_conf_array(conf, "a", &items, &n, &err), 1);
	CHECK_INT(n, 4);
	CHECK_STR(items[3], "/four");
	CHECK_OK(parse(conf, "a = [{ append = false }, '/five']"), &err);
	CHECK_INT(sfd_conf_array(conf, "a", &items, &n, &err), 1);
	CHECK_INT(n, 1);
	CHECK_STR(items[0], "/five");
	CHECK_OK(parse(conf, "a = []"), &err);
	CHECK_INT(sfd_conf_array(conf, "a", &items, &n, &err), 1);
	CHECK_INT(n, 0);
	sfd_conf_free(conf);
}

TEST(a_later_file_wins_within_one_file_nothing_does)
{
	struct sfd_conf *conf = sfd_conf_new();
	const char *text = NULL;

	CHECK_OK(parse(conf, "[storage]\ndriver = 'vfs'\nrunroot = '/r'"), &err);
	CHECK_OK(parse(conf, "[storage]\ndriver = 'overlay'"), &err);
	CHECK_INT(sfd_conf_string(conf, "storage.driver", &text, &err), 1);
	CHECK_STR(text, "overlay");
	CHECK_INT(sfd_conf_string(conf, "storage.runroot", &text, &err), 1);
	sfd_conf_free(conf);
	CHECK_STR(refused("a = 1\n\na = 2\n"),
		"storage.conf line 3: a is set a second time (first in line 1)");
}

TEST(what_is_not_understood_is_refused)
{
	static const char *const texts[] = { "a", "a =", "= 1", "a = b", "a = 1.5",
		"a = 1979-05-27", "a = 'x", "a = \"x\ny\"", "a = \"\\q\"", "a = \"\\ud800\"",
		"a = \"\\u0000\"", "a = 'x' 'y'", "a = [1]", "a = ['x' 'y']", "a = ['x'",
		"a = [{append=1}]", "a = [{other=true}]", "a = {b = 1", "[a", "[[a]]", "[a] b = 1",
		"a..b = 1", "a = 0x", "a = 0x_", "a = 1__0", "a = 09", "a = '''x", "\xff = 1",
		"a = 'x\x01'", "a = {b={c={d={e={f={g={h={i={j=1}}}}}}}}}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = refused(texts[i]);

		CHECK(strncmp(text, "storage.conf", 12) == 0);
	}
	CHECK_STR(refused("[a]\n[a.b]\n[ \"a\" ]\n"),
		"storage.conf line 3: a table comes a second time");
	CHECK_STR(refused("a = 1\n# c\nb = '\x01'"),
		"storage.conf line 3: a string holds a control character");
}
