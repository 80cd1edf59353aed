/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/serve/serve.h"

#include <string.h>

/* One declaration and one row for each protocol. */
extern const struct sfd_serve_protocol sfd_protocol_jsonrpc;
extern const struct sfd_serve_protocol sfd_protocol_varlink;

const struct sfd_serve_protocol *sfd_serve_find_protocol(const char *name)
{
	static const struct sfd_serve_protocol *const protocols[] = {
		&sfd_protocol_jsonrpc,
		&sfd_protocol_varlink,
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(protocols[i]->name, name) == 0)
			return protocols[i];
	}
	return NULL;
}
