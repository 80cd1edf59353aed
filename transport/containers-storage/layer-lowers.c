/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/layer-lowers.h"

#include "splitfdstream/base/cleanup.h"
#include "transport/containers-storage/store-files.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LIST_SIZE_MAX ((size_t)64 * 1024)

struct lowers {
	struct sfd_layer_lowers base;
	struct splitfd_store *store; /* a reference */
	bool links;		     /* names are those of overlay/l/, not IDs */
	char names[SFD_LAYER_LOWERS_MAX][65];
};

static int open_diff(const struct splitfd_store *store, const char *id)
{
	char path[80];
	int r = -ENOENT;

	(void)snprintf(path, sizeof(path), "%s/diff", id);
	for (size_t i = 0; i < store->n_places && r == -ENOENT; i++) {
		sfd_cleanup_fd int overlay = -EBADF;

		if (store->places[i].fd < 0)
			continue;
		overlay = sfd_store_open_dir(store->places[i].fd, "overlay", true);
		r = overlay < 0 ? overlay : sfd_store_open_dir(overlay, path, false);
	}
	return r;
}

/* The ID that overlay/l/NAME of a place points to: "../ID/diff", and nothing else, is taken. */
static int read_link(const struct sfd_place *place, const char *name, char id[65])
{
	char path[64], target[80];
	sfd_cleanup_fd int fd = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "overlay/l/%s", name);
	fd = sfd_openat2(place->fd, path, O_PATH | O_NOFOLLOW, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, sizeof(target));
	if (n < 0)
		return -errno;
	if (n != 3 + 64 + 5 || memcmp(target, "../", 3) != 0 ||
		memcmp(target + 67, "/diff", 5) != 0)
		return -EBADMSG;
	memcpy(id, target + 3, 64);
	id[64] = '\0';
	return sfd_store_id_valid(id) ? 0 : -EBADMSG;
}

static int open_lower(struct sfd_layer_lowers *base, size_t i)
{
	struct lowers *lowers = (struct lowers *)base;
	const struct splitfd_store *store = lowers->store;
	char id[65];
	int r = -ENOENT;

	if (!lowers->links)
		return open_diff(store, lowers->names[i]);
	for (size_t p = 0; p < store->n_places && r == -ENOENT; p++)
		if (store->places[p].fd >= 0)
			r = read_link(&store->places[p], lowers->names[i], id);
	return r < 0 ? r : open_diff(store, id);
}

static void free_lowers(struct sfd_layer_lowers *base)
{
	struct lowers *lowers = (struct lowers *)base;

	splitfd_store_close(lowers->store);
	free(lowers);
}

/* Takes the names of the list apart; false where one is not what it should be. */
static bool split_list(struct lowers *lowers, const char *list, size_t size)
{
	const char *end = list + size;

	while (size > 0 && end[-1] == '\n')
		end--, size--;
	while (list < end) {
		const char *colon = memchr(list, ':', (size_t)(end - list));
		size_t n = (size_t)((colon != NULL ? colon : end) - list);
		char *name;

		if (lowers->base.n == SFD_LAYER_LOWERS_MAX)
			return false;
		name = lowers->names[lowers->base.n];
		if (lowers->links) {
			if (n != 28 || memcmp(list, "l/", 2) != 0 ||
				!sfd_store_link_valid(list + 2, 26))
				return false;
			memcpy(name, list + 2, 26);
		} else {
			if (n != 64)
				return false;
			memcpy(name, list, 64);
			if (!sfd_store_id_valid(name))
				return false;
		}
		lowers->base.n++;
		list += n + (colon != NULL);
	}
	return true;
}

int sfd_layer_lowers_read(struct splitfd_store *store, int layer_dir, struct sfd_layer_lowers **ret,
	struct splitfd_error *err)
{
	sfd_cleanup_free char *list = NULL;
	struct lowers *lowers;
	bool links = false;
	size_t size;
	int r = sfd_store_read_file(layer_dir, "lower-layers", LIST_SIZE_MAX, &list, &size);

	*ret = NULL;
	if (r == -ENOENT) {
		links = true;
		r = sfd_store_read_file(layer_dir, "lower", LIST_SIZE_MAX, &list, &size);
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return splitfd_error_sys(err, -r, "the list of the layers below cannot be read");
	lowers = calloc(1, sizeof(*lowers));
	if (lowers == NULL)
		return splitfd_error_oom(err);
	lowers->base.open = open_lower;
	lowers->base.free = free_lowers;
	lowers->links = links;
	if (!split_list(lowers, list, size)) {
		free(lowers);
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"the list of the layers below is malformed");
	}
	lowers->store = sfd_store_ref(store);
	*ret = &lowers->base;
	return 0;
}
