/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/skopeo/policy-old-skopeo.h"
#include "splitfdstream/base/cleanup.h"
#include "transport/skopeo/policy-scopes.h"
#include "transport/skopeo/policy.h"

#include <string.h>

/* From this version on OpenImage evaluates the policy. */
#define VERSION_POLICY 206

bool sfd_proxy_applies_policy(const struct sfd_proxy *proxy)
{
	return sfd_proxy_version(proxy) >= VERSION_POLICY;
}

/* The value of the last --NAME=VALUE; "" for --NAME alone; NULL where it is not given. */
static const char *flag(const char *const *arguments, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (; arguments != NULL && *arguments != NULL; arguments++) {
		if (strncmp(*arguments, "--", 2) != 0 || strncmp(*arguments + 2, name, len) != 0)
			continue;
		if ((*arguments)[2 + len] == '=')
			found = *arguments + 2 + len + 1;
		else if ((*arguments)[2 + len] == '\0')
			found = "";
	}
	return found;
}

static int verdict_of(const struct sfd_policy *policy, const char *reference, enum sfd_verdict *ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *transport = strndup(reference, strcspn(reference, ":"));
	char **scopes = NULL;
	int r;

	if (transport == NULL)
		return splitfd_error_oom(err);
	r = sfd_policy_scopes_of(reference, &scopes, err);
	if (r < 0)
		return r;
	*ret = r > 0 ? sfd_policy_verdict(policy, transport, (const char *const *)scopes)
		     : sfd_policy_verdict_unnamed(policy, transport);
	sfd_policy_scopes_free(scopes);
	return 0;
}

int sfd_policy_check_reference(const struct sfd_proxy *proxy, const char *const *arguments,
	const char *reference, struct splitfd_error *err)
{
	sfd_cleanup_policy struct sfd_policy *policy = NULL;
	const char *insecure = flag(arguments, "insecure-policy");
	enum sfd_verdict verdict = SFD_POLICY_CONDITION;
	unsigned int version = sfd_proxy_version(proxy);
	int r;

	if (sfd_proxy_applies_policy(proxy) || (insecure != NULL && strcmp(insecure, "false") != 0))
		return 0;
	r = sfd_policy_load(flag(arguments, "policy"), &policy, err);
	if (r == 0)
		r = verdict_of(policy, reference, &verdict, err);
	if (r < 0 || verdict == SFD_POLICY_ACCEPT)
		return r;
	if (verdict == SFD_POLICY_REJECT)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EKEYREJECTED,
			"Running image %s is rejected by policy.", reference);
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ENOTSUP,
		"the policy has conditions for %s that this skopeo's proxy (0.%u.%u) does not "
		"check; install skopeo 1.13 or later, whose proxy is 0.2.6 or later",
		reference, version / 100, version % 100);
}
