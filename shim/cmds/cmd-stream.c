/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/command.h"
#include "shim/common/repo-options.h"
#include "shim/cmds/stream-cmd.h"
#include "shim/cmds/stream-wire.h"

#include <errno.h>
#include <string.h>

extern const struct sfd_command sfd_cmd_stream;

static const struct {
	const char *word;
	int (*run)(const struct sfd_stream_request *q, struct splitfd_error *err);
	int (*wire)(const struct sfd_stream_request *q, struct splitfd_error *err);
} verbs[] = {
	{ "dump", sfd_stream_dump, sfd_wire_dump },
	{ "cat", sfd_stream_cat, sfd_wire_cat },
	{ "check", sfd_stream_check, sfd_wire_check },
};

static int run(int argc, char **argv, struct splitfd_error *err)
{
	struct sfd_stream_request q = { .repo = SFD_REPO_READER };
	const struct sfd_option options[] = {
		SFD_REPO_READER_OPTIONS(&q.repo),
		{ "json", 0, SFD_OPTION_FLAG, &q.json, 0, 0, NULL, "Print JSON (dump, check)" },
		{ "format", 0, SFD_OPTION_STRING, &q.format, 0, 0, "FORMAT",
			"STREAM is a file: splitfdstream or splitdirfdstream" },
		{ NULL },
	};
	int r = sfd_parse_options(&sfd_cmd_stream, options, &argc, &argv, err);

	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[0], verbs[i].word) != 0)
			continue;
		q.name = argv[1];
		return sfd_stream_is_wire(&q) ? verbs[i].wire(&q, err) : verbs[i].run(&q, err);
	}
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"expected dump, cat or check, not '%s'; see 'splitfd stream --help'", argv[0]);
}

const struct sfd_command sfd_cmd_stream = {
	.name = "stream",
	.class = SFD_PLUMBING,
	.operands = "dump|cat|check STREAM",
	.summary = "Show, concatenate or check one stream of a repository or a file",
	.run = run,
};
