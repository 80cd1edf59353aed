/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_OPTIONS_H
#define SPLITFD_SHIM_OPTIONS_H

/*
 * Command-line options as data, bound to variables on the command's own stack.
 */

#include "splitfdstream/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum sfd_option_kind {
	SFD_OPTION_FLAG,    /* bool: set to true; `--no-NAME` and `--NAME=false` to false */
	SFD_OPTION_STRING,  /* const char *: the last one wins */
	SFD_OPTION_STRINGS, /* struct sfd_strings: all of them, in order */
	SFD_OPTION_NUMBER,  /* long: from min to max */
};

/* Repeated values of one option. `items` is NULL-terminated and freed by sfd_strings_done. */
struct sfd_strings {
	const char **items;
	size_t n;
};

void sfd_strings_done(struct sfd_strings *s);

/* "--NAME=VALUE" (value NULL: "--NAME") for another program. These are malloc'd, and freed by
 * sfd_flags_done. */
int sfd_flags_add(
	struct sfd_strings *s, const char *name, const char *value, struct splitfd_error *err);
void sfd_flags_done(struct sfd_strings *s);

struct sfd_option {
	const char *name; /* without dashes; NULL ends the table */
	char letter;	  /* the short form, or 0 */
	enum sfd_option_kind kind;
	void *value;
	long min, max;	      /* NUMBER */
	const char *argument; /* as shown in the help: "DIR"; NULL for FLAG */
	const char *help;
};

struct sfd_command;

/* Prints a row of a help text on standard output: "  LEFT", padded to `width`, and the text, broken
 * at 80 columns. */
void sfd_print_row(const char *left, int width, const char *text);

/* Reads options anywhere among the arguments; "--" ends them. *argv keeps what is no option
 * (without the command's name) and *argc their count. Prints the command's help and returns 1 on
 * --help. -EINVAL with kind USAGE otherwise, also where the command takes more or fewer operands.
 */
int sfd_parse_options(const struct sfd_command *command, const struct sfd_option *options,
	int *argc, char ***argv, struct splitfd_error *err);

#endif
