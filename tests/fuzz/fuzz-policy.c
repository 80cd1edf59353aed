/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.json: the first line is an image's reference, the rest the policy. The verdicts must hang
 * together: where every image of a scope is accepted, each one is; where the transport accepts
 * images whose names are not known, it accepts those whose names are.
 */
#include "splitfdstream/base/io.h"
#include "transport/skopeo/policy-scopes.h"
#include "transport/skopeo/policy.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRANSPORT "containers-storage"

static struct sfd_policy *load(const char *text, size_t size)
{
	struct sfd_policy *policy = NULL;
	struct splitfd_error err = { 0 };
	int fd = memfd_create("policy", MFD_CLOEXEC);
	char path[32];

	assert(fd >= 0 && sfd_pwrite_all(fd, text, size, 0) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (sfd_policy_load(path, &policy, &err) < 0)
		assert(policy == NULL && err.kind == SPLITFD_ERROR_REFUSED && err.text[0] != '\0');
	close(fd);
	return policy;
}

static void judge(const struct sfd_policy *policy, const char *const *scopes)
{
	enum sfd_verdict verdict = sfd_policy_verdict(policy, TRANSPORT, scopes);
	enum sfd_verdict unnamed = sfd_policy_verdict_unnamed(policy, TRANSPORT);

	assert(verdict <= SFD_POLICY_CONDITION && unnamed <= SFD_POLICY_CONDITION);
	if (unnamed != SFD_POLICY_CONDITION)
		assert(verdict == unnamed);
	if (sfd_policy_accepts_all(policy, TRANSPORT, scopes))
		assert(verdict == SFD_POLICY_ACCEPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const none[] = { NULL };
	struct splitfd_error err = { 0 };
	struct sfd_policy *policy;
	char *text = malloc(size + 1), **scopes = NULL, *file;
	size_t n;

	assert(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	n = strcspn(text, "\n");
	file = n < size ? text + n + 1 : text + size;
	text[n] = '\0';
	policy = load(file, (size_t)(text + size - file));
	if (sfd_policy_scopes_of(text, &scopes, &err) < 0)
		assert(err.text[0] != '\0');
	if (policy != NULL) {
		judge(policy, none);
		if (scopes != NULL)
			judge(policy, (const char *const *)scopes);
	}
	sfd_policy_scopes_free(scopes);
	sfd_policy_free(policy);
	free(text);
	return 0;
}
