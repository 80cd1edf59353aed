/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/options.h"
#include "shim/common/command.h"
#include "shim/common/nearest.h"
#include "splitfdstream/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMNS 80
#define OPTION_WIDTH 34

void sfd_strings_done(struct sfd_strings *s)
{
	free(s->items);
	s->items = NULL;
	s->n = 0;
}

static int strings_add(struct sfd_strings *s, const char *text, struct splitfd_error *err)
{
	const char **items = reallocarray(s->items, s->n + 2, sizeof(*items));

	if (items == NULL)
		return splitfd_error_oom(err);
	items[s->n++] = text;
	items[s->n] = NULL;
	s->items = items;
	return 0;
}

int sfd_flags_add(
	struct sfd_strings *s, const char *name, const char *value, struct splitfd_error *err)
{
	char *text = sfd_asprintf(
		"--%s%s%s", name, value != NULL ? "=" : "", value != NULL ? value : "");
	int r;

	if (text == NULL)
		return splitfd_error_oom(err);
	r = strings_add(s, text, err);
	if (r < 0)
		free(text);
	return r;
}

void sfd_flags_done(struct sfd_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((char *)(uintptr_t)s->items[i]);
	sfd_strings_done(s);
}

static void print_usage(const struct sfd_command *command, const struct sfd_option *options)
{
	const char *const parts[] = { options->name != NULL ? "[OPTIONS]" : NULL, command->required,
		command->operands };

	printf("Usage: splitfd %s", command->name);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] != NULL && *parts[i] != '\0')
			printf(" %s", parts[i]);
}

void sfd_print_row(const char *left, int width, const char *text)
{
	int column = printf("  %-*s", width, left);

	for (size_t n; *text != '\0'; text += n) {
		text += strspn(text, " ");
		n = strcspn(text, " ");
		if (column + 1 + (int)n > HELP_COLUMNS && column > 2 + width) {
			printf("\n  %-*s", width, "");
			column = 2 + width;
		}
		column += printf(" %.*s", (int)n, text);
	}
	printf("\n");
}

static void print_help(const struct sfd_command *command, const struct sfd_option *options)
{
	print_usage(command, options);
	printf("\n\n%s\n\nOptions:\n", command->summary);
	for (; options->name != NULL; options++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", options->letter ? '-' : ' ',
			options->letter ? options->letter : ' ', options->letter ? ',' : ' ',
			options->name, options->argument ? " " : "",
			options->argument ? options->argument : "");
		sfd_print_row(left, OPTION_WIDTH, options->help);
	}
	sfd_print_row("    --help", OPTION_WIDTH, "Show this text");
}

/* The words of "IMAGE [NAME]" one by one: the length of the one at *text, 0 at the end. */
static size_t next_operand(const char **text)
{
	*text += strspn(*text, " ");
	return strcspn(*text, " ");
}

/* "[NAME...]": none, one or more. */
static bool may_repeat(const char *word, size_t len)
{
	return len > 4 && strncmp(word + len - 4, "...]", 4) == 0;
}

/* "IMAGE and optionally NAME" */
static void describe_operands(const char *operands, char *to, size_t size)
{
	size_t len, at = 0;

	if (next_operand(&operands) == 0)
		(void)snprintf(to, size, "no arguments");
	for (; (len = next_operand(&operands)) > 0 && at < size; operands += len) {
		bool optional = *operands == '[';

		at += (size_t)snprintf(to + at, size - at, "%s%s%.*s", at > 0 ? " and " : "",
			!optional ? ""
			: at > 0  ? "optionally "
				  : "at most ",
			(int)(optional ? len - 2 : len), operands + optional);
	}
}

static int count_operands(const struct sfd_command *command, int argc, struct splitfd_error *err)
{
	const char *at = command->operands;
	int least = 0, most = 0;
	char expected[128];
	size_t len;

	if (at == NULL)
		return 0;
	for (; (len = next_operand(&at)) > 0; at += len) {
		least += *at != '[';
		most = may_repeat(at, len) ? INT_MAX : most + 1;
	}
	if (argc >= least && argc <= most)
		return 0;
	describe_operands(command->operands, expected, sizeof(expected));
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"expected %s; see 'splitfd %s --help'", expected, command->name);
}

static int unknown_option(const struct sfd_command *command, const struct sfd_option *options,
	const char *word, struct splitfd_error *err)
{
	char name[40] = "";
	struct sfd_nearest nearest = { .word = name };

	if (word[1] == '-')
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (; options->name != NULL; options++)
		sfd_nearest_try(&nearest, options->name);
	if (nearest.found != NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"unknown option '%s' (did you mean '--%s'?); see 'splitfd %s --help'", word,
			nearest.found, command->name);
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"unknown option '%s'; see 'splitfd %s --help'", word, command->name);
}

static const struct sfd_option *find_option(
	const struct sfd_option *options, const char *word, size_t len, bool *ret_negated)
{
	*ret_negated = false;
	for (const struct sfd_option *o = options; o->name != NULL; o++) {
		if (strlen(o->name) == len && memcmp(o->name, word, len) == 0)
			return o;
	}
	if (len <= 3 || memcmp(word, "no-", 3) != 0)
		return NULL;
	for (const struct sfd_option *o = options; o->name != NULL; o++) {
		if (o->kind == SFD_OPTION_FLAG && strlen(o->name) == len - 3 &&
			memcmp(o->name, word + 3, len - 3) == 0) {
			*ret_negated = true;
			return o;
		}
	}
	return NULL;
}

static int set_flag(const struct sfd_option *o, const char *text, bool negated)
{
	bool on = text == NULL || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

	if (!on && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
		return -EINVAL;
	*(bool *)o->value = on != negated;
	return 0;
}

static int set_value(const struct sfd_command *command, const struct sfd_option *o,
	const char *text, struct splitfd_error *err)
{
	char *end;
	long number;

	switch (o->kind) {
	case SFD_OPTION_STRING:
		*(const char **)o->value = text;
		return 0;
	case SFD_OPTION_STRINGS:
		return strings_add(o->value, text, err);
	default:
		errno = 0;
		number = strtol(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0' || number < o->min || number > o->max)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"--%s takes a number from %ld to %ld, not '%s'; see 'splitfd %s "
				"--help'",
				o->name, o->min, o->max, text, command->name);
		*(long *)o->value = number;
		return 0;
	}
}

/* One word that starts with a dash; may use up the next word. Returns words used, or -errno. */
static int parse_word(const struct sfd_command *command, const struct sfd_option *options,
	char **argv, int left, struct splitfd_error *err)
{
	const char *word = argv[0], *text = NULL;
	const struct sfd_option *o = NULL;
	bool negated = false;
	int r;

	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		o = find_option(options, word + 2, len, &negated);
		if (word[2 + len] == '=')
			text = word + 2 + len + 1;
	} else {
		for (o = options; o->name != NULL && o->letter != word[1]; o++)
			;
		if (o->name == NULL)
			o = NULL;
		else if (word[2] != '\0')
			text = word + 2;
	}
	if (o == NULL)
		return unknown_option(command, options, word, err);
	if (o->kind == SFD_OPTION_FLAG) {
		if (set_flag(o, text, negated) < 0)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
				"--%s takes true or false, not '%s'; see 'splitfd %s --help'",
				o->name, text, command->name);
		return 1;
	}
	if (text != NULL) {
		r = set_value(command, o, text, err);
		return r < 0 ? r : 1;
	}
	if (left < 2)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"option '%s' requires a value; see 'splitfd %s --help'", word,
			command->name);
	r = set_value(command, o, argv[1], err);
	return r < 0 ? r : 2;
}

int sfd_parse_options(const struct sfd_command *command, const struct sfd_option *options,
	int *argc, char ***argv, struct splitfd_error *err)
{
	char **words = *argv;
	int kept = 0, i = 1;

	while (i < *argc) {
		int r;

		if (words[i][0] != '-' || words[i][1] == '\0') {
			words[kept++] = words[i++];
			continue;
		}
		if (strcmp(words[i], "--") == 0) {
			for (i++; i < *argc; i++)
				words[kept++] = words[i];
			break;
		}
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
			print_help(command, options);
			return 1;
		}
		r = parse_word(command, options, words + i, *argc - i, err);
		if (r < 0)
			return r;
		i += r;
	}
	words[kept] = NULL;
	*argc = kept;
	return count_operands(command, kept, err);
}
