/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_COMMAND_H
#define SPLITFD_SHIM_COMMAND_H

/*
 * The commands: one file each (cmd-NAME.c), one table in commands.c. Help, the man page check
 * and completion read the table.
 */

#include "splitfdstream/base/error.h"

enum sfd_command_class {
	SFD_PORCELAIN, /* for people */
	SFD_PLUMBING,  /* for programs */
	SFD_SERVER,    /* answers a protocol */
	SFD_INTERNAL,  /* started by splitfd itself: not listed, without a man page */
};

struct sfd_command {
	const char *name;
	enum sfd_command_class class;
	/* What comes after the options: "IMAGE [NAME]", the optional ones in brackets, "[NAME...]"
	 * where it may be given again. The usage line is made of it, and sfd_parse_options() counts
	 * by it. NULL: the command counts. */
	const char *operands;
	const char *required; /* an option that must be given, for the usage line; may be NULL */
	const char *summary;  /* one line */
	/* argv[0] is the command's name. Returns 0, or -errno with the text in err; then the
	 * program prints "splitfd NAME: TEXT" and exits by the error's kind. */
	int (*run)(int argc, char **argv, struct splitfd_error *err);
};

#endif
