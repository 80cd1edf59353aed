/* SPDX-License-Identifier: Apache-2.0 */
/* OpenVarlinkSocket: [], [store] or [image]. What is served are layers; manifest and config are the
 * proxy's own business, and so is the policy. */
#include "transport/json/go-json.h"
#include "shim/common/repo-options.h"
#include "shim/common/rootless.h"
#include "shim/proxy/proxy-session.h"
#include "shim/varlink/varlink-socket.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/store-cleanup.h"
#include "transport/skopeo/policy.h"

#include <string.h>

/* Without an image there is nothing to ask skopeo about: the policy has to accept the store's
 * images without conditions. */
static int check_policy(
	struct sfd_proxy_session *s, const struct splitfd_store *store, struct splitfd_error *err)
{
	sfd_cleanup_policy struct sfd_policy *policy = NULL;
	sfd_cleanup_free char *scope = NULL, *plain = NULL;
	int r;

	if (s->settings->insecure_policy)
		return 0;
	r = sfd_policy_load(s->settings->policy, &policy, err);
	if (r < 0)
		return r;
	scope = sfd_asprintf(
		"[%s@%s]", splitfd_store_driver(store), splitfd_store_graphroot(store));
	plain = sfd_asprintf("[%s]", splitfd_store_graphroot(store));
	if (scope == NULL || plain == NULL)
		return splitfd_error_oom(err);
	if (sfd_policy_accepts_all(
		    policy, "containers-storage", (const char *const[]){ scope, plain, NULL }))
		return 0;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EACCES,
		"the policy does not accept every image of %s; give OpenVarlinkSocket the ID of an "
		"open image",
		scope);
}

static int of_store(struct sfd_proxy_session *s, const char *spec, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	sfd_cleanup_store struct splitfd_store *store = NULL;
	sfd_cleanup_free char *text = NULL;
	struct splitfd_store_options options = { 0 };
	int r = sfd_varlink_parse_spec(spec, &options, &text, err);

	sfd_lock_options_apply(s->settings->lock_timeout, 0, &options);
	if (r == 0)
		r = sfd_rootless_store_open(&options, &store, err);
	if (r == 0)
		r = check_policy(s, store, err);
	/* This very store, whatever is at its path later. */
	return r < 0 ? r
		     : sfd_varlink_sockets_open(
			       s->varlink, sfd_take_ptr(&store), NULL, &answer->fds[0], err);
}

/* The image once more, for another thread. */
static int of_image(struct sfd_proxy_session *s, const cJSON *args, struct sfd_proxy_answer *answer,
	struct splitfd_error *err)
{
	sfd_cleanup_image struct splitfd_image *copy = NULL;
	struct sfd_proxy_image *image;
	int r = sfd_proxy_arg_image(s, args, &image, err);

	if (r < 0)
		return r;
	if (image->native == NULL)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EOPNOTSUPP,
			"image %llu is not in a containers-storage that is read here",
			(unsigned long long)image->id);
	r = splitfd_image_open(sfd_native_store(image->native),
		splitfd_image_id(sfd_native_image(image->native)), SPLITFD_LOOKUP_TRANSPORT, &copy,
		err);
	if (r < 0)
		return r;
	if (strcmp(splitfd_image_manifest_digest(copy),
		    splitfd_image_manifest_digest(sfd_native_image(image->native))) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, ESTALE,
			"the image is another one since it was opened");
	return sfd_varlink_sockets_open(
		s->varlink, NULL, sfd_take_ptr(&copy), &answer->fds[0], err);
}

int sfd_proxy_open_varlink_socket(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	const cJSON *arg = cJSON_GetArrayItem(args, 0);
	int r = 0;

	if (cJSON_GetArraySize(args) > 1)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"found %d args, expecting (), (store) or (imgid)",
			cJSON_GetArraySize(args));
	if (arg != NULL && !cJSON_IsString(arg) && !cJSON_IsNumber(arg))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting a store or an imgid, not %s", sfd_json_type(arg));
	if (s->varlink == NULL)
		r = sfd_varlink_sockets_new(s->settings->stall_ms, &s->varlink, err);
	if (r == 0 && cJSON_IsNumber(arg))
		r = of_image(s, args, answer, err);
	else if (r == 0)
		r = of_store(s, arg != NULL ? arg->valuestring : "", answer, err);
	if (r == 0)
		answer->n_fds = 1;
	return r;
}
