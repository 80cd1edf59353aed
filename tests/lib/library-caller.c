/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of splitfd_pull() and splitfd_push() by callers of other releases, whose structs are
 *smaller or larger:
 *
 *	library-caller pull IMAGE REPOSITORY ROOT RUNROOT
 *	library-caller push IMAGE REPOSITORY ROOT RUNROOT SERVICE
 *
 * Prints a line for each call: its name, what it returned, and the error's text or the manifest.
 *Structs are of exactly the size that they say, on the heap, and in memory that must stay as it is
 *behind that.
 */
#include "transport/copy/copy.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64
#define MARK  0xa5

static int failures;

/* `size` bytes with the first `n` of `from`, and zeros after them; what is behind them is marked.
 */
static void *sized(const void *from, size_t n, size_t size)
{
	unsigned char *p = malloc(size + GUARD);

	if (p == NULL)
		exit(1);
	memset(p, 0, size);
	memset(p + size, MARK, GUARD);
	memcpy(p, from, n < size ? n : size);
	if (size >= sizeof(size))
		memcpy(p, &size, sizeof(size));
	return p;
}

static void check_behind(const char *name, const void *p, size_t size)
{
	const unsigned char *bytes = p;

	for (size_t i = size; i < size + GUARD; i++) {
		if (bytes[i] != MARK) {
			printf("%s: byte %zu behind the result was written\n", name, i - size);
			failures++;
			return;
		}
	}
}

struct caller {
	const struct splitfd_pull_options *pull;
	const struct splitfd_push_options *push; /* or NULL */
};

static int call(
	const struct caller *c, const void *options, void *result, struct splitfd_error *err)
{
	return c->push != NULL ? splitfd_push(options, result, err)
			       : splitfd_pull(options, result, err);
}

/* One call with structs of these sizes; `unknown` sets the byte at that place of the options. */
static void run(const struct caller *c, const char *name, size_t options_size, size_t result_size,
	size_t unknown)
{
	const size_t known = c->push != NULL ? sizeof(*c->push) : sizeof(*c->pull);
	const void *base = c->push != NULL ? (const void *)c->push : (const void *)c->pull;
	unsigned char *options = sized(base, known, options_size);
	unsigned char *result = sized("", 0, result_size);
	struct splitfd_error err = { 0 };
	char manifest[72] = "no place for it";
	int r;

	if (unknown > 0)
		options[unknown] = 1;
	r = call(c, options, result, &err);
	/* The digest is the first member after the size. */
	if (result_size >= sizeof(size_t) + sizeof(manifest))
		memcpy(manifest, result + sizeof(size_t), sizeof(manifest));
	if (r == 0)
		printf("%s: 0 %.72s\n", name, manifest);
	else
		printf("%s: %s, kind %d: %s\n", name, strerrorname_np(-r), (int)err.kind, err.text);
	check_behind(name, options, options_size);
	check_behind(name, result, result_size);
	free(options);
	free(result);
}

/* A caller that forgot the size: all is zero. */
static void run_no_size(const struct caller *c, size_t result_size)
{
	size_t options[64] = { 0 };
	size_t *result = sized("", 0, result_size);
	struct splitfd_error err = { 0 };
	int r = result != NULL ? call(c, options, result, &err) : 0;

	printf("no size: %s, kind %d: %s\n", strerrorname_np(-r), (int)err.kind, err.text);
	free(result);
}

static void run_all(const struct caller *c)
{
	const size_t options = c->push != NULL ? sizeof(*c->push) : sizeof(*c->pull);
	const size_t result = c->push != NULL ? sizeof(struct splitfd_push_result)
					      : sizeof(struct splitfd_pull_result);
	/* Callers of an older release end before the member that this test does not need. */
	const size_t older = c->push != NULL
				     ? offsetof(struct splitfd_push_options, from_repository)
				     : offsetof(struct splitfd_pull_options, reflink);

	run(c, "unknown option", options + 16, result, options + 15);
	run_no_size(c, result);
	run(c, "size alone", sizeof(size_t), result, 0);
	run(c, "older", older, result, 0);
	run(c, "older result", options, sizeof(size_t) + 72, 0);
	run(c, "oldest result", options, sizeof(size_t), 0);
	run(c, "newer", options + 16, result + 16, 0);
	printf("neither result nor error: %d\n",
		call(c, c->push != NULL ? (const void *)c->push : c->pull, NULL, NULL));
}

/* What is refused without the text being wanted. */
static void run_refused(void)
{
	const struct splitfd_pull_options pull = { .size = sizeof(pull) };
	const struct splitfd_push_options push = { .size = sizeof(push) };

	printf("nothing is set: %s %s\n", strerrorname_np(-splitfd_pull(&pull, NULL, NULL)),
		strerrorname_np(-splitfd_push(&push, NULL, NULL)));
}

int main(int argc, char **argv)
{
	struct splitfd_store_options store = { 0 };
	struct splitfd_pull_options pull = { .size = sizeof(pull), .store = &store };
	struct splitfd_push_options push = { .size = sizeof(push), .store = &store };
	struct caller c = { .pull = &pull };

	if (argc < 6)
		return 2;
	pull.image = push.image = argv[2];
	pull.repository = push.repository = argv[3];
	pull.tag = push.tag = "by-size";
	store.root = argv[4];
	store.runroot = argv[5];
	store.driver = "overlay";
	if (strcmp(argv[1], "push") == 0 && argc == 7) {
		push.service = argv[6];
		c.push = &push;
	}
	run_refused();
	run_all(&c);
	return failures != 0;
}
