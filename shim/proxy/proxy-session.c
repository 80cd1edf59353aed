/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/proxy/proxy-session.h"
#include "transport/json/go-json.h"
#include "transport/json/json-member.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The largest whole number that every JSON reader keeps apart from the next. */
#define NUMBER_MAX (SFD_JSON_EXACT_MAX - 1)

static void image_done(struct sfd_proxy_image *image)
{
	sfd_native_unref(image->native);
	free(image->manifest);
}

int sfd_proxy_add_image(
	struct sfd_proxy_session *s, struct sfd_proxy_image **ret, struct splitfd_error *err)
{
	if (s->n_images == s->cap_images) {
		size_t cap = s->cap_images > 0 ? 2 * s->cap_images : 8;
		struct sfd_proxy_image *images = reallocarray(s->images, cap, sizeof(*images));

		if (images == NULL)
			return splitfd_error_oom(err);
		s->images = images;
		s->cap_images = cap;
	}
	*ret = &s->images[s->n_images++];
	**ret = (struct sfd_proxy_image){ .id = ++s->last_image };
	return 0;
}

void sfd_proxy_remove_image(struct sfd_proxy_session *s, struct sfd_proxy_image *image)
{
	size_t i = (size_t)(image - s->images);

	image_done(image);
	s->n_images--;
	memmove(image, image + 1, (s->n_images - i) * sizeof(*image));
}

void sfd_proxy_drop_images(struct sfd_proxy_session *s)
{
	for (size_t i = 0; i < s->n_images; i++)
		image_done(&s->images[i]);
	free(s->images);
	s->images = NULL;
	s->n_images = s->cap_images = 0;
}

int sfd_proxy_arg_number(const cJSON *args, int i, uint64_t *ret, struct splitfd_error *err)
{
	const cJSON *item = cJSON_GetArrayItem(args, i);

	if (!cJSON_IsNumber(item))
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"expecting numeric, not %s", sfd_json_type(item));
	if (item->valuedouble > NUMBER_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, ERANGE,
			"out of range integer for numeric %f", item->valuedouble);
	if (item->valuedouble >= 0)
		*ret = (uint64_t)item->valuedouble;
	else if (item->valuedouble >= -NUMBER_MAX)
		*ret = (uint64_t)(int64_t)item->valuedouble;
	else
		*ret = UINT64_C(1) << 63;
	return 0;
}

int sfd_proxy_arg_image(struct sfd_proxy_session *s, const cJSON *args,
	struct sfd_proxy_image **ret, struct splitfd_error *err)
{
	uint64_t id = 0;
	size_t low = 0, high = s->n_images;
	int r = sfd_proxy_arg_number(args, 0, &id, err);

	if (r < 0)
		return r;
	if (id == 0)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "%s", "invalid imageid value of zero");
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->images[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == s->n_images || s->images[low].id != id)
		return splitfd_error_set(
			err, SPLITFD_ERROR_NOT_FOUND, ENOENT, "no image %" PRIu64, id);
	*ret = &s->images[low];
	return 0;
}

int sfd_proxy_answer_bytes(struct sfd_proxy_session *s, const void *data, size_t n,
	struct sfd_proxy_answer *answer, struct splitfd_error *err)
{
	int r = sfd_pipes_start_bytes(s->pipes, data, n, &answer->fds[0], &answer->pipeid, err);

	if (r == 0)
		answer->n_fds = 1;
	return r;
}
