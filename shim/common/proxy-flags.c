/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/common/proxy-flags.h"

#include <stdlib.h>

int sfd_proxy_flags_apply(
	const struct sfd_proxy_flags *f, struct sfd_strings *ret, struct splitfd_error *err)
{
	const char *tmpdir = secure_getenv("TMPDIR");
	const struct {
		const char *name, *value;
	} flags[] = { { "authfile", f->authfile }, { "creds", f->creds },
		{ "username", f->username }, { "password", f->password },
		{ "registry-token", f->registry_token }, { "shared-blob-dir", f->shared_blob_dir },
		{ "daemon-host", f->daemon_host }, { "cert-dir", f->cert_dir },
		{ "policy", f->policy }, { "registries.d", f->registries_d },
		{ "override-arch", f->override_arch }, { "override-os", f->override_os },
		{ "override-variant", f->override_variant },
		{ "no-creds", f->no_creds ? "true" : NULL },
		{ "insecure-policy", f->insecure_policy ? "true" : NULL },
		{ "tls-verify", f->tls_verify ? NULL : "false" },
		/* skopeo itself does not look at it. */
		{ "tmpdir", tmpdir != NULL && tmpdir[0] == '/' ? tmpdir : NULL } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].value != NULL)
			r = sfd_flags_add(ret, flags[i].name, flags[i].value, err);
	}
	return r;
}
