/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SKOPEO_POLICY_H
#define SPLITFD_SKOPEO_POLICY_H

/*
 * policy.json: whether an image may be used without conditions. Only that question is answered
 * here; signatures are skopeo's business. Source of the format: containers-policy.json(5).
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/error.h"

#include <stdbool.h>

struct sfd_policy;

/* The file that counts: CONTAINERS_POLICY_JSON, else the first policy.json of the user's directory
 * (sfd_user_config_dir), `etc` and `usr`. NOT_FOUND where none of them has one. *ret is the
 * caller's.
 */
int sfd_policy_path(const char *etc, const char *usr, char **ret, struct splitfd_error *err);

/* Reads `path`, or, where it is NULL, the file that counts, /etc/containers and
 * /usr/share/containers being the system's directories. A missing file is NOT_FOUND; unknown and
 * repeated keys, a missing default, empty lists and unknown kinds of requirements are REFUSED, as
 * container tools refuse them. *ret is the caller's. */
int sfd_policy_load(const char *path, struct sfd_policy **ret, struct splitfd_error *err);
/* NULL is allowed. Returns NULL. */
struct sfd_policy *sfd_policy_free(struct sfd_policy *policy);

enum sfd_verdict {
	SFD_POLICY_ACCEPT,    /* insecureAcceptAnything and nothing else */
	SFD_POLICY_REJECT,    /* can never be accepted */
	SFD_POLICY_CONDITION, /* signatures decide */
};

/* The verdict for an image of a transport. `scopes` is NULL-terminated: the image's identity, then
 * the namespaces that it belongs to, narrowest first; the transport's "" scope and the default come
 * behind them. */
enum sfd_verdict sfd_policy_verdict(
	const struct sfd_policy *policy, const char *transport, const char *const *scopes);

/* True where every image in each of `scopes` (NULL-terminated, narrowest first) is accepted: no
 * scope that is one of them, or narrower and so begins with it, says anything else. */
bool sfd_policy_accepts_all(
	const struct sfd_policy *policy, const char *transport, const char *const *scopes);

/* The verdict for an image of a transport whose names are not known: what all scopes of it agree
 * on, else CONDITION. */
enum sfd_verdict sfd_policy_verdict_unnamed(const struct sfd_policy *policy, const char *transport);

SFD_DEFINE_CLEANUP(sfd_cleanup_policy_, struct sfd_policy, sfd_policy_free);
#define sfd_cleanup_policy sfd_cleanup(sfd_cleanup_policy_)

#endif
