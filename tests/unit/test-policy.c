/* SPDX-License-Identifier: Apache-2.0 */
/* policy.json: what is refused, which requirement counts; the names of an image in it. The same
 * cases against skopeo are in tests/lib/proxy-policy.py. */
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/skopeo/policy-scopes.h"
#include "transport/skopeo/policy.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANY    "[{\"type\":\"insecureAcceptAnything\"}]"
#define NO     "[{\"type\":\"reject\"}]"
#define GPG    "\"type\":\"signedBy\",\"keyType\":\"GPGKeys\""
#define SIGNED "[{" GPG ",\"keyPath\":\"/k\"}]"

static int load(const char *text, struct sfd_policy **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int fd = memfd_create("policy", MFD_CLOEXEC);
	char path[64];

	CHECK_INT(sfd_write_all(fd, text, strlen(text)), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sfd_policy_load(path, ret, err);
}

/* The verdict for an image of these scopes, narrowest first; -1: the policy is refused. */
static int verdict(const char *text, const char *first, const char *second)
{
	const char *const scopes[] = { first, second, NULL };
	struct sfd_policy *policy = NULL;
	struct splitfd_error err = { 0 };
	int r = load(text, &policy, &err);

	if (r < 0) {
		CHECK_INT(err.kind, SPLITFD_ERROR_REFUSED);
		CHECK(err.text[0] != '\0');
		return -1;
	}
	r = (int)sfd_policy_verdict(policy, "containers-storage", scopes);
	sfd_policy_free(policy);
	return r;
}

static int of_default(const char *list)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"default\":%s}", list);
	return verdict(text, "[overlay@/s]", NULL);
}

TEST(requirements)
{
	CHECK_INT(of_default(ANY), SFD_POLICY_ACCEPT);
	CHECK_INT(of_default(NO), SFD_POLICY_REJECT);
	CHECK_INT(of_default(SIGNED), SFD_POLICY_CONDITION);
	CHECK_INT(of_default("[{\"type\":\"sigstoreSigned\",\"keyData\":\"YQ==\"}]"),
		SFD_POLICY_CONDITION);
	/* All of a list must hold. */
	CHECK_INT(of_default("[{\"type\":\"insecureAcceptAnything\"},{\"type\":\"reject\"}]"),
		SFD_POLICY_REJECT);
	CHECK_INT(
		of_default("[{\"type\":\"insecureAcceptAnything\"},{" GPG ",\"keyPath\":\"/k\"}]"),
		SFD_POLICY_CONDITION);
}

TEST(the_narrowest_scope_counts)
{
	static const char text[] = "{\"default\":" NO ",\"transports\":{\"docker\":{\"\":" ANY
				   "},\"containers-storage\":{\"[overlay@/s]\":" SIGNED
				   ",\"[overlay@/s]localhost/a\":" ANY ",\"\":" ANY "}}}";

	CHECK_INT(verdict(text, "[overlay@/s]localhost/a", "[overlay@/s]"), SFD_POLICY_ACCEPT);
	CHECK_INT(verdict(text, "[overlay@/s]localhost/b", "[overlay@/s]"), SFD_POLICY_CONDITION);
	CHECK_INT(verdict(text, "[overlay@/other]", "[/other]"), SFD_POLICY_ACCEPT);
	CHECK_INT(verdict("{\"default\":" NO ",\"transports\":{\"docker\":{\"\":" ANY "}}}",
			  "[overlay@/s]", NULL),
		SFD_POLICY_REJECT);
}

TEST(what_is_refused)
{
	static const char *const texts[] = { "", "{", "[]", "{}", "{\"transports\":{}}",
		"{\"default\":[]}", "{\"default\":{}}", "{\"default\":[1]}", "{\"default\":[{}]}",
		"{\"default\":" ANY ",\"x\":1}", "{\"Default\":" ANY "}", "{\"default\":" ANY "}x",
		"{\"default\":" ANY ",\"default\":" ANY "}",
		"{\"default\":[{\"type\":\"unknown\"}]}",
		"{\"default\":[{\"type\":\"reject\",\"more\":1}]}",
		"{\"default\":[{\"type\":\"reject\",\"type\":\"reject\"}]}",
		"{\"default\":[{" GPG "}]}",
		"{\"default\":[{" GPG ",\"keyPath\":\"/k\",\"keyData\":\"YQ==\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyPath\":\"/k\"}]}",
		"{\"default\":[{" GPG
		",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"unknown\"}}]}",
		"{\"default\":" ANY ",\"transports\":[]}",
		"{\"default\":" ANY ",\"transports\":{\"docker\":[]}}",
		"{\"default\":" ANY ",\"transports\":{\"docker\":{\"x\":[]}}}",
		"{\"default\":" ANY ",\"transports\":{\"containers-storage\":{\"localhost/a\":" ANY
		"}}}",
		"{\"default\":" ANY ",\"transports\":{\"containers-storage\":{\"[rel]\":" ANY "}}}",
		"{\"default\":" ANY ",\"transports\":{\"containers-storage\":{\"[x@rel]\":" ANY
		"}}}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (verdict(texts[i], "x", NULL) >= 0)
			printf("# accepted: %s\n", texts[i]);
		CHECK_INT(verdict(texts[i], "x", NULL), -1);
	}
}

TEST(a_missing_file)
{
	struct sfd_policy *policy = NULL;
	struct splitfd_error err = { 0 };

	CHECK_INT(sfd_policy_load("/nonexistent/policy.json", &policy, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	CHECK(policy == NULL);
}

static void put(const char *dir, bool there)
{
	sfd_cleanup_free char *path = sfd_asprintf("%s/policy.json", dir);

	if (!there)
		CHECK_INT(unlink(path), 0);
	else
		CHECK_INT(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
}

static void check_counts(const char *etc, const char *usr, const char *expected)
{
	sfd_cleanup_free char *path = NULL;
	struct splitfd_error err = { 0 };

	CHECK_OK(sfd_policy_path(etc, usr, &path, &err), &err);
	CHECK_INT(strncmp(path, expected, strlen(expected)), 0);
}

TEST(the_file_that_counts)
{
	char top[] = "/tmp/policy.XXXXXX";
	sfd_cleanup_free char *user = NULL, *etc = NULL, *usr = NULL, *path = NULL;
	struct splitfd_error err = { 0 };

	CHECK(mkdtemp(top) != NULL);
	user = sfd_asprintf("%s/containers", top);
	etc = sfd_asprintf("%s/etc", top);
	usr = sfd_asprintf("%s/usr", top);
	CHECK_INT(mkdir(user, 0700) | mkdir(etc, 0700) | mkdir(usr, 0700), 0);
	setenv("XDG_CONFIG_HOME", top, 1);
	unsetenv("CONTAINERS_POLICY_JSON");
	CHECK_INT(sfd_policy_path(etc, usr, &path, &err), -ENOENT);
	CHECK_INT(err.kind, SPLITFD_ERROR_NOT_FOUND);
	put(usr, true);
	check_counts(etc, usr, usr);
	put(etc, true);
	check_counts(etc, usr, etc);
	put(user, true);
	check_counts(etc, usr, user);
	setenv("CONTAINERS_POLICY_JSON", "/named/policy.json", 1);
	check_counts(etc, usr, "/named/policy.json");
	setenv("CONTAINERS_POLICY_JSON", "", 1);
	check_counts(etc, usr, user);
	put(usr, false);
	put(etc, false);
	put(user, false);
	CHECK_INT(rmdir(user) | rmdir(etc) | rmdir(usr) | rmdir(top), 0);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D  "sha256:" ID

/* All scopes of a reference in the store overlay@/s, joined by spaces. */
static const char *scopes(const char *rest, char text[2048])
{
	char **list = NULL;
	struct splitfd_error err = { 0 };

	CHECK_OK(sfd_policy_scopes(rest, "overlay", "/s", ID, &list, &err), &err);
	text[0] = '\0';
	for (size_t i = 0; list[i] != NULL; i++)
		snprintf(text + strlen(text), 2048 - strlen(text), "%s%s", i > 0 ? " " : "",
			list[i]);
	sfd_policy_scopes_free(list);
	return text;
}

#define S      "[overlay@/s]"
#define STORES " " S " [/s]"

TEST(names_of_an_image)
{
	char t[2048];

	CHECK_STR(scopes("localhost/a", t), S "localhost/a:latest@" ID " " S "localhost/a:latest " S
					      "localhost/a " S "localhost" STORES);
	CHECK_STR(scopes("q.io/a/b:1", t),
		S "q.io/a/b:1@" ID " " S "q.io/a/b:1 " S "q.io/a/b " S "q.io/a " S "q.io" STORES);
	/* A short name is docker.io's. */
	CHECK_STR(scopes("busybox", t),
		S "docker.io/library/busybox:latest@" ID " " S "docker.io/library/busybox:latest " S
		  "docker.io/library/busybox " S "docker.io/library " S "docker.io" STORES);
	CHECK_STR(scopes("index.docker.io/x:1", t),
		S "docker.io/library/x:1@" ID " " S "docker.io/library/x:1 " S
		  "docker.io/library/x " S "docker.io/library " S "docker.io" STORES);
	/* A port is no tag. */
	CHECK_STR(scopes("h:5000/a", t),
		S "h:5000/a:latest@" ID " " S "h:5000/a:latest " S "h:5000/a " S "h:5000" STORES);
}

TEST(names_with_digest_and_id)
{
	char t[2048];

	CHECK_STR(scopes("q.io/a@" D, t),
		S "q.io/a@" D "@" ID " " S "q.io/a@" D " " S "q.io/a " S "q.io" STORES);
	CHECK_STR(scopes("q.io/a:1@" D, t), S "q.io/a:1@" D "@" ID " " S "q.io/a:1@" D " " S
					      "q.io/a:1 " S "q.io/a " S "q.io" STORES);
	/* An ID alone, whole or its beginning, names no repository. */
	CHECK_STR(scopes(ID, t), S "@" ID STORES);
	CHECK_STR(scopes("@" ID, t), S "@" ID STORES);
	CHECK_STR(scopes("0123456789ab", t), S "@" ID STORES);
	CHECK_STR(scopes("q.io/a:1@" ID, t),
		S "q.io/a:1@" ID " " S "q.io/a:1 " S "q.io/a " S "q.io" STORES);
}
