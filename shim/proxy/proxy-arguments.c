/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy/proxy-arguments.h"
#include "shim/common/repo-options.h"
#include "shim/proxy/proxy-session.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/skopeo/proxy-client.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of a week. */
#define TIME_MAX 604800000.0

/* A time as Go writes it ("90s", "1m30s", "1.5h"), in milliseconds, at most a week; -EINVAL. */
static int parse_duration(const char *text, int *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "s", 1e3 }, { "m", 6e4 },
		{ "h", 3.6e6 } };
	double sum = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789."), i = 0;
		double number = strtod(text, NULL);

		text += digits;
		while (i < 6 && strncmp(text, units[i].name, strlen(units[i].name)) != 0)
			i++;
		if (digits == 0 || i == 6)
			return -EINVAL;
		text += strlen(units[i].name);
		sum += number * units[i].ms;
	}
	if (!(sum >= 0 && sum <= TIME_MAX))
		return -EINVAL;
	*ret_ms = (int)ceil(sum);
	return 0;
}

/* Flags of skopeo's that only the real one can obey. */
struct passed {
	bool debug, no_creds, insecure_policy;
	const char *tls_verify;
	struct {
		const char *name, *value;
	} texts[17];
};

static const char *const text_names[] = { "authfile", "creds", "username", "password",
	"registry-token", "cert-dir", "shared-blob-dir", "daemon-host", "policy", "registries.d",
	"override-arch", "override-os", "override-variant", "tmpdir", "user-agent-prefix",
	"registries-conf", "command-timeout" };

static const char *const text_help[] = { "Registry credentials", "Registry user and password",
	"Registry user", "Registry password", "Registry token", "Certificates of registries",
	"Shared blobs of oci:", "Docker daemon", "policy.json", "Signature stores",
	"Architecture instead of this machine's", "System instead of this machine's",
	"Variant instead of this machine's", "Temporary files", "Prefix of the user agent",
	"registries.conf instead of the system's",
	"Longest silence of a source or the client (default 300s)" };

#define N_TEXTS (sizeof(text_names) / sizeof(text_names[0]))

static int forward_all(
	struct sfd_proxy_arguments *a, const struct passed *p, struct splitfd_error *err)
{
	struct sfd_strings *s = &a->forwarded;
	int r = 0;

	if (p->debug)
		r = sfd_flags_add(s, "debug", NULL, err);
	if (r == 0 && p->no_creds)
		r = sfd_flags_add(s, "no-creds", NULL, err);
	if (r == 0 && p->insecure_policy)
		r = sfd_flags_add(s, "insecure-policy", NULL, err);
	if (r == 0 && p->tls_verify != NULL)
		r = sfd_flags_add(s, "tls-verify", p->tls_verify, err);
	for (size_t i = 0; r == 0 && i < N_TEXTS; i++) {
		if (p->texts[i].value != NULL)
			r = sfd_flags_add(s, text_names[i], p->texts[i].value, err);
	}
	return r;
}

void sfd_proxy_arguments_done(struct sfd_proxy_arguments *a)
{
	sfd_flags_done(&a->forwarded);
}

/* A flag whose value may be absent: only "--NAME" and "--NAME=VALUE" are forms of it. */
static const char *take_tls_verify(int *argc, char **argv)
{
	const char *value = NULL;
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "--tls-verify") == 0)
			value = "true";
		else if (strncmp(argv[i], "--tls-verify=", 13) == 0)
			value = argv[i] + 13;
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	*argc = kept;
	return value;
}

/* Which skopeo says at Initialize. NULL: they agree. */
static const char *conflict(const struct passed *p)
{
	const char *creds = p->texts[1].value, *username = p->texts[2].value;
	const char *password = p->texts[3].value;

	if (creds != NULL && p->no_creds)
		return "creds and no-creds cannot be specified at the same time";
	if (username != NULL && p->no_creds)
		return "username and no-creds cannot be specified at the same time";
	if (creds != NULL && username != NULL)
		return "creds and username cannot be specified at the same time";
	if (username != NULL && password == NULL)
		return "password must be specified when username is specified";
	if (username == NULL && password != NULL)
		return "username must be specified when password is specified";
	if (creds != NULL && creds[0] == '\0')
		return "credentials can't be empty";
	if (creds != NULL && creds[0] == ':')
		return "username can't be empty";
	return NULL;
}

/* As Go's flags take them. */
static bool is_boolean(const char *text)
{
	static const char *const words[] = { "1", "t", "T", "TRUE", "true", "True", "0", "f", "F",
		"FALSE", "false", "False" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

static int check(
	struct sfd_proxy_arguments *a, const struct passed *p, int argc, struct splitfd_error *err)
{
	const char *timeout = p->texts[N_TEXTS - 1].value;

	if (argc > 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "accepts 0 arg(s), received %d", argc);
	if (p->tls_verify != NULL && !is_boolean(p->tls_verify))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--tls-verify takes true or false, not '%s'", p->tls_verify);
	a->conflict = conflict(p);
	a->stall_ms = SFD_PROXY_STALL_MS;
	if (timeout != NULL && parse_duration(timeout, &a->stall_ms) < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"--command-timeout takes a time such as 90s or 5m, not '%s'", timeout);
	if (a->stall_ms == 0)
		a->stall_ms = SFD_PROXY_STALL_MS;
	return 0;
}

/* Clients that want OpenVarlinkSocket send nothing to a server below 0.2.9, a number that upstream
 * has not given a meaning yet. */
static int check_announced(struct sfd_proxy_arguments *a, struct splitfd_error *err)
{
	const char *from_env = getenv("SPLITFD_PROXY_VERSION");
	const char *source = a->announce != NULL ? "--announce" : "SPLITFD_PROXY_VERSION";

	if (a->announce == NULL)
		a->announce = from_env != NULL && from_env[0] != '\0' ? from_env
								      : SFD_PROXY_PROTOCOL;
	if (strcmp(a->announce, SFD_PROXY_PROTOCOL) == 0 || strcmp(a->announce, "0.2.9") == 0)
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
		"%s takes " SFD_PROXY_PROTOCOL " or 0.2.9, not '%s'", source, a->announce);
}

int sfd_proxy_parse_arguments(const struct sfd_command *command, int argc, char **argv,
	struct sfd_proxy_arguments *ret, struct splitfd_error *err)
{
	struct passed p = { 0 };
	struct sfd_strings keys = { 0 };
	bool shown; /* --tls-verify was taken before */
	struct sfd_option options[N_TEXTS + 10] = {
		{ "lock-timeout", 0, SFD_OPTION_NUMBER, &ret->lock_timeout, 1, SFD_LOCK_SECONDS_MAX,
			"SECONDS", SFD_LOCK_TIMEOUT_HELP },
		{ "sockfd", 0, SFD_OPTION_NUMBER, &ret->sockfd, 0, 1 << 20, "N",
			"The connected socket (default: 0, standard input)" },
		{ "skopeo", 0, SFD_OPTION_STRING, &ret->skopeo, 0, 0, "PATH",
			"The real skopeo (default: SPLITFD_SKOPEO, then PATH)" },
		{ "announce", 0, SFD_OPTION_STRING, &ret->announce, 0, 0, "VERSION",
			"0.2.8 or 0.2.9 (default: SPLITFD_PROXY_VERSION, then 0.2.8)" },
		{ "insecure-policy", 0, SFD_OPTION_FLAG, &p.insecure_policy, 0, 0, NULL,
			"Accept every image" },
		{ "no-creds", 0, SFD_OPTION_FLAG, &p.no_creds, 0, 0, NULL,
			"Access registries anonymously" },
		{ "debug", 0, SFD_OPTION_FLAG, &p.debug, 0, 0, NULL, "Make skopeo log more" },
		{ "tls-verify", 0, SFD_OPTION_FLAG, &shown, 0, 0, NULL,
			"Require HTTPS and valid certificates" },
		{ "decryption-key", 0, SFD_OPTION_STRINGS, &keys, 0, 0, "KEY",
			"Accepted for compatibility; skopeo's proxy has no such option" },
	};
	int r;

	*ret = (struct sfd_proxy_arguments){ 0 };
	for (size_t i = 0; i < N_TEXTS; i++)
		options[9 + i] = (struct sfd_option){ text_names[i], 0, SFD_OPTION_STRING,
			&p.texts[i].value, 0, 0, "VALUE", text_help[i] };
	p.tls_verify = take_tls_verify(&argc, argv);
	r = sfd_parse_options(command, options, &argc, &argv, err);
	sfd_strings_done(&keys);
	if (r == 0)
		r = check(ret, &p, argc, err);
	if (r == 0)
		r = check_announced(ret, err);
	if (r == 0)
		r = forward_all(ret, &p, err);
	ret->policy = p.texts[8].value;
	ret->insecure_policy = p.insecure_policy;
	return r;
}
