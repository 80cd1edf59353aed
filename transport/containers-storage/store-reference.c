/* SPDX-License-Identifier: Apache-2.0 */
/* References with a store specifier, [driver@root+runroot:options]NAME. */
#include "transport/containers-storage/store.h"

#include "splitfdstream/base/cleanup.h"

#include <string.h>

#define SPECIFIER_MAX 65536

struct specifier {
	char *driver, *root, *runroot, *options;
};

/* Cuts *text at the first `c`; returns what follows, or NULL where there is none. */
static char *cut(char *text, char c)
{
	char *at = strchr(text, c);

	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* [DRIVER@]ROOT[+RUNROOT][:OPTION[,OPTION…]], cut in container-libs' order. */
static void cut_specifier(char *text, struct specifier *s)
{
	char *rest = cut(text, '@');

	s->driver = rest != NULL ? text : NULL;
	s->root = rest != NULL ? rest : text;
	s->options = cut(s->root, ':');
	s->runroot = cut(s->root, '+');
}

static const char *or_null(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

static int check_absolute(const char *what, const char *path, struct splitfd_error *err)
{
	if (path == NULL || *path == '/')
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"the %s '%s' of the reference is not an absolute path", what, path);
}

/* Fills the array at v, which ends in NULL, with the options of the list; empty ones are none. */
static void fill_options(char *list, const char **v)
{
	while (list != NULL) {
		char *next = cut(list, ',');

		if (*list != '\0')
			*v++ = list;
		list = next;
	}
	*v = NULL;
}

/* What container-libs calls an invalid reference: an empty part where one has to be. */
static int check_parts(const struct specifier *s, struct splitfd_error *err)
{
	bool empty = (s->driver != NULL && *s->driver == '\0') ||
		     (*s->root == '\0' && s->runroot == NULL && s->options == NULL);

	if (empty)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the reference's store specifier has an empty part; it is "
			"[DRIVER@ROOT+RUNROOT:OPTIONS], where DRIVER@, +RUNROOT and :OPTIONS may "
			"be left "
			"out, or leave out the brackets");
	if (or_null(s->root) == NULL && or_null(s->runroot) == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"the reference's store specifier has options, but no storage root");
	return 0;
}

static int parse_specifier(const char *text, size_t n, struct splitfd_store_options *options,
	char **ret_spec, struct splitfd_error *err)
{
	/* One allocation: the copy of the text, and behind it room for the options' pointers, of
	 * which there are at most as many as there are characters. */
	size_t text_room = (n + sizeof(char *)) / sizeof(char *) * sizeof(char *);
	sfd_cleanup_free char *spec = NULL;
	struct specifier s;
	const char **list;
	int r;

	spec = calloc(1, text_room + (n + 2) * sizeof(char *));
	if (spec == NULL)
		return splitfd_error_oom(err);
	memcpy(spec, text, n);
	cut_specifier(spec, &s);
	r = check_parts(&s, err);
	if (r >= 0)
		r = check_absolute("storage root", or_null(s.root), err);
	if (r >= 0)
		r = check_absolute("run root", or_null(s.runroot), err);
	if (r < 0)
		return r;
	list = (const char **)(void *)(spec + text_room);
	fill_options(s.options, list);
	options->root = or_null(s.root);
	options->runroot = or_null(s.runroot);
	options->driver = or_null(s.driver);
	options->options = list;
	options->imagestore = NULL;
	options->from_specifier = true;
	*ret_spec = sfd_take_ptr(&spec);
	return 0;
}

int splitfd_store_parse_reference(const char *reference, struct splitfd_store_options *options,
	char **ret_spec, const char **ret_rest, struct splitfd_error *err)
{
	static const char transport[] = "containers-storage:";
	char *spec = NULL;
	const char *end;
	int r;

	if (strncmp(reference, transport, sizeof(transport) - 1) == 0)
		reference += sizeof(transport) - 1;
	if (*reference == '[') {
		end = strchr(reference, ']');
		if (end == NULL)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"%.200s: the store specifier has no ']'", reference);
		if (end - reference > SPECIFIER_MAX)
			return splitfd_error_set(
				err, SPLITFD_ERROR_USAGE, E2BIG, "the store specifier is too long");
		r = parse_specifier(
			reference + 1, (size_t)(end - reference - 1), options, &spec, err);
		if (r < 0)
			return r;
		reference = end + 1;
	}
	*ret_spec = spec;
	*ret_rest = reference;
	return 0;
}
