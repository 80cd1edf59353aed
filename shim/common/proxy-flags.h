/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_PROXY_FLAGS_H
#define SPLITFD_SHIM_PROXY_FLAGS_H

/*
 * Options for the skopeo that reads an image.
 */

#include "shim/common/options.h"

/* skopeo's own flags on our command line. */
struct sfd_proxy_flags {
	const char *authfile, *creds, *username, *password, *registry_token;
	const char *cert_dir, *policy, *registries_d, *shared_blob_dir, *daemon_host;
	const char *override_arch, *override_os, *override_variant;
	bool no_creds, insecure_policy, tls_verify;
};

/* Rows of an option table. */
#define SFD_PROXY_FLAGS(f)                                                                         \
	{ "authfile", 0, SFD_OPTION_STRING, &(f)->authfile, 0, 0, "FILE",                          \
		"Registry credentials, as skopeo takes them" },                                    \
		{ "creds", 0, SFD_OPTION_STRING, &(f)->creds, 0, 0, "USER:PASSWORD",               \
			"Registry user and password" },                                            \
		{ "username", 0, SFD_OPTION_STRING, &(f)->username, 0, 0, "NAME",                  \
			"Registry user" },                                                         \
		{ "password", 0, SFD_OPTION_STRING, &(f)->password, 0, 0, "TEXT",                  \
			"Registry password" },                                                     \
		{ "registry-token", 0, SFD_OPTION_STRING, &(f)->registry_token, 0, 0, "TEXT",      \
			"Registry token" },                                                        \
		{ "no-creds", 0, SFD_OPTION_FLAG, &(f)->no_creds, 0, 0, NULL,                      \
			"Access the registry anonymously" },                                       \
		{ "cert-dir", 0, SFD_OPTION_STRING, &(f)->cert_dir, 0, 0, "DIR",                   \
			"Certificates of registries" },                                            \
		{ "tls-verify", 0, SFD_OPTION_FLAG, &(f)->tls_verify, 0, 0, NULL,                  \
			"Require HTTPS and valid certificates (default)" },                        \
		{ "policy", 0, SFD_OPTION_STRING, &(f)->policy, 0, 0, "FILE",                      \
			"policy.json for skopeo" },                                                \
		{ "insecure-policy", 0, SFD_OPTION_FLAG, &(f)->insecure_policy, 0, 0, NULL,        \
			"Let skopeo accept every image" },                                         \
		{ "registries.d", 0, SFD_OPTION_STRING, &(f)->registries_d, 0, 0, "DIR",           \
			"Signature stores for skopeo" },                                           \
		{ "shared-blob-dir", 0, SFD_OPTION_STRING, &(f)->shared_blob_dir, 0, 0, "DIR",     \
			"Blobs that layouts of oci: share" },                                      \
		{ "daemon-host", 0, SFD_OPTION_STRING, &(f)->daemon_host, 0, 0, "HOST",            \
			"The daemon of docker-daemon:" },                                          \
		{ "override-arch", 0, SFD_OPTION_STRING, &(f)->override_arch, 0, 0, "ARCH",        \
			"Choose the image of this architecture" },                                 \
		{ "override-os", 0, SFD_OPTION_STRING, &(f)->override_os, 0, 0, "OS",              \
			"Choose the image of this system" },                                       \
	{                                                                                          \
		"override-variant", 0, SFD_OPTION_STRING, &(f)->override_variant, 0, 0, "VARIANT", \
			"Choose the image of this variant"                                         \
	}

/* Fills ret->items, the arguments for skopeo; sfd_flags_done frees them. `flags` starts as
 * { .tls_verify = true }. */
int sfd_proxy_flags_apply(
	const struct sfd_proxy_flags *flags, struct sfd_strings *ret, struct splitfd_error *err);

#endif
