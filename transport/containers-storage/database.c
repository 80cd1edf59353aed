/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/database.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/containers-storage/store-files.h"
#include "transport/json/json-member.h"
#include "transport/json/json-tree.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/stat.h>

/* A record has about 1 kB: room for tens of thousands. */
#define DATABASE_SIZE_MAX ((size_t)64 * 1024 * 1024)

struct context {
	const char *where;
	const char *file;
	struct splitfd_error *err;
};

static int malformed(const struct context *c, size_t i, const char *what)
{
	return splitfd_error_set(c->err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"%s: %s: record %zu is malformed: %s", c->where, c->file, i, what);
}

/* What comes of a record that was read with result r: 1 where it is one; 0 where it is left out. */
static int take_record(
	struct sfd_odd_records *odd, int r, struct splitfd_error *why, struct splitfd_error *err)
{
	if (r >= 0)
		return 1;
	if (r != -EBADMSG)
		return splitfd_error_copy(err, r, why);
	if (odd->n++ == 0)
		(void)snprintf(odd->first, sizeof(odd->first), "%.255s", why->text);
	return 0;
}

int sfd_odd_records_note(const struct sfd_odd_records *odd, int r, struct splitfd_error *err)
{
	char text[1024];

	if (odd->n == 0 || err == NULL)
		return r;
	(void)snprintf(text, sizeof(text), "%.1023s", err->text);
	return splitfd_error_set(err, err->kind, err->errnum,
		"%s; %zu record%s could not be read, the first: %s", text, odd->n,
		odd->n == 1 ? "" : "s", odd->first);
}

static void take_stamp(struct sfd_file_stamp *stamp, const struct stat *st)
{
	*stamp = (struct sfd_file_stamp){ .exists = true,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool sfd_file_stamp_same(const struct sfd_file_stamp *stamp, int dirfd, const char *path)
{
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT && !stamp->exists;
	if (fstat(fd, &st) < 0)
		return false;
	return stamp->exists && stamp->dev == st.st_dev && stamp->ino == st.st_ino &&
	       stamp->size == st.st_size && same_time(&stamp->mtime, &st.st_mtim) &&
	       same_time(&stamp->ctime, &st.st_ctim);
}

/* The array of the file in *ret, or NULL where there is no file or nothing in it. */
static int read_json(const struct context *c, int dirfd, const char *path, cJSON **ret,
	struct sfd_file_stamp *stamp)
{
	sfd_cleanup_free char *text = NULL;
	sfd_cleanup_fd int fd = sfd_store_open_file(dirfd, path);
	struct stat st;
	size_t size, at;
	int r;

	*ret = NULL;
	if (fd == -ENOENT)
		return 0;
	if (fd == -EINVAL)
		return splitfd_error_set(c->err, SPLITFD_ERROR_REFUSED, EINVAL,
			"%s: %s is not a regular file", c->where, path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return splitfd_error_sys(
			c->err, fd < 0 ? -fd : errno, "%s: cannot open %s", c->where, path);
	take_stamp(stamp, &st);
	r = sfd_read_file_fd(fd, DATABASE_SIZE_MAX, &text, &size);
	if (r < 0)
		return splitfd_error_sys(c->err, -r, "%s: cannot read %s", c->where, path);
	if (size == 0)
		return 0;
	r = sfd_json_tree_whole(text, size, ret, &at);
	if (r == -ENOMEM)
		return splitfd_error_oom(c->err);
	if (r < 0)
		return splitfd_error_set(c->err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: %s is malformed: no JSON near byte %zu", c->where, path, at);
	if (!cJSON_IsArray(*ret) && !cJSON_IsNull(*ret))
		return splitfd_error_set(c->err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: %s is malformed: not an array", c->where, path);
	return 0;
}

/* A string member; NULL where it is absent, null or "". False where it is something else. */
static bool get_string(const cJSON *object, const char *key, const char **ret)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

	*ret = NULL;
	if (member == NULL || cJSON_IsNull(member))
		return true;
	if (!cJSON_IsString(member))
		return false;
	if (*member->valuestring != '\0')
		*ret = member->valuestring;
	return true;
}

static bool get_size(const cJSON *object, const char *key, uint64_t *ret)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

	*ret = 0;
	if (member == NULL || cJSON_IsNull(member))
		return true;
	return sfd_member_u64(object, key, ret);
}

/* What the storage library of 2026 writes. A later one may say by a new member or flag that a layer
 * is not what it was: encrypted, say, or in another form. */
static const char *const known_image[] = { "id", "digest", "names", "names-history", "layer",
	"mapped-layers", "metadata", "big-data-names", "big-data-sizes", "big-data-digests",
	"created", "flags", NULL };
static const char *const known_layer[] = { "id", "names", "parent", "metadata", "mountlabel",
	"created", "compressed-diff-digest", "compressed-size", "diff-digest", "diff-size",
	"toc-digest", "compression", "uidset", "gidset", "uidmap", "gidmap", "flags",
	"big-data-names", NULL };
static const char *const known_flags[] = { "incomplete", "expected-layer-diffid", NULL };

/* The first member of the object whose name is not in the list; NULL where all are. */
static const char *find_unknown(const cJSON *object, const char *const *known)
{
	const cJSON *member;

	cJSON_ArrayForEach (member, object) {
		size_t i = 0;

		while (known[i] != NULL && strcmp(known[i], member->string) != 0)
			i++;
		if (known[i] == NULL)
			return member->string;
	}
	return NULL;
}

static const char *unknown_in(const cJSON *record, const char *const *known)
{
	const cJSON *flags = cJSON_GetObjectItemCaseSensitive(record, "flags");
	const char *found = find_unknown(record, known);

	return found != NULL || !cJSON_IsObject(flags) ? found : find_unknown(flags, known_flags);
}

static int read_names(
	const struct context *c, size_t i, const cJSON *record, struct sfd_image_record *image)
{
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(record, "names"), *name;
	const char **v;
	size_t n = 0;

	if (names != NULL && !cJSON_IsArray(names) && !cJSON_IsNull(names))
		return malformed(c, i, "names is not an array");
	v = calloc((size_t)cJSON_GetArraySize(names) + 1, sizeof(*v));
	if (v == NULL)
		return splitfd_error_oom(c->err);
	image->names = v;
	cJSON_ArrayForEach (name, names) {
		if (!cJSON_IsString(name))
			return malformed(c, i, "a name is not a string");
		v[n++] = name->valuestring;
	}
	return 0;
}

static int read_image(
	const struct context *c, size_t i, const cJSON *record, struct sfd_image_record *image)
{
	const cJSON *digests = cJSON_GetObjectItemCaseSensitive(record, "big-data-digests"), *d;

	if (!cJSON_IsObject(record))
		return malformed(c, i, "not an object");
	if (!get_string(record, "id", &image->id) || !sfd_store_id_valid(image->id))
		return malformed(c, i, "the ID is not 64 hex digits");
	if (!get_string(record, "layer", &image->layer) ||
		(image->layer != NULL && !sfd_store_id_valid(image->layer)))
		return malformed(c, i, "the layer's ID is not 64 hex digits");
	if (!get_string(record, "digest", &image->digest) ||
		!get_string(record, "created", &image->created))
		return malformed(c, i, "digest or created is not a string");
	if (digests != NULL && !cJSON_IsObject(digests) && !cJSON_IsNull(digests))
		return malformed(c, i, "big-data-digests is not an object");
	cJSON_ArrayForEach (d, digests) {
		if (!cJSON_IsString(d))
			return malformed(c, i, "a big-data digest is not a string");
	}
	image->big_data_digests = digests;
	image->unknown = unknown_in(record, known_image);
	return read_names(c, i, record, image);
}

int sfd_image_list_read(struct sfd_image_list *list, int dirfd, const char *path, const char *where,
	struct splitfd_error *err)
{
	struct splitfd_error why = { 0 };
	struct context c = { .where = where, .file = path, .err = err };
	struct sfd_file_stamp stamp;
	const cJSON *record;
	size_t i = 0;
	int r = read_json(&c, dirfd, path, &list->json, &stamp);

	if (r < 0 || list->json == NULL)
		return r;
	list->v = calloc((size_t)cJSON_GetArraySize(list->json) + 1, sizeof(*list->v));
	if (list->v == NULL)
		return splitfd_error_oom(err);
	c.err = &why;
	cJSON_ArrayForEach (record, list->json) {
		struct sfd_image_record *image = &list->v[list->n];

		r = take_record(&list->odd, read_image(&c, i++, record, image), &why, err);
		if (r > 0) {
			list->n++;
			continue;
		}
		free((void *)(uintptr_t)image->names);
		*image = (struct sfd_image_record){ 0 };
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_layer(
	const struct context *c, size_t i, const cJSON *record, struct sfd_layer_record *layer)
{
	const cJSON *flags = cJSON_GetObjectItemCaseSensitive(record, "flags"), *incomplete;

	if (!cJSON_IsObject(record))
		return malformed(c, i, "not an object");
	if (!get_string(record, "id", &layer->id) || !sfd_store_id_valid(layer->id))
		return malformed(c, i, "the ID is not 64 hex digits");
	if (!get_string(record, "parent", &layer->parent) ||
		(layer->parent != NULL && !sfd_store_id_valid(layer->parent)))
		return malformed(c, i, "the parent's ID is not 64 hex digits");
	if (!get_string(record, "diff-digest", &layer->diff_digest) ||
		!get_string(record, "toc-digest", &layer->toc_digest))
		return malformed(c, i, "a digest is not a string");
	if (!get_size(record, "diff-size", &layer->diff_size))
		return malformed(c, i, "diff-size is not a size");
	if (flags != NULL && !cJSON_IsObject(flags) && !cJSON_IsNull(flags))
		return malformed(c, i, "flags is not an object");
	if (!get_string(flags, "expected-layer-diffid", &layer->expected_diff_id))
		return malformed(c, i, "expected-layer-diffid is not a string");
	/* Anything but a plain false counts: what is half made is not read. */
	incomplete = cJSON_GetObjectItemCaseSensitive(flags, "incomplete");
	layer->incomplete = incomplete != NULL && !cJSON_IsFalse(incomplete);
	layer->unknown = unknown_in(record, known_layer);
	return 0;
}

static int compare_layers(const void *a, const void *b)
{
	const struct sfd_layer_record *x = *(struct sfd_layer_record *const *)a;
	const struct sfd_layer_record *y = *(struct sfd_layer_record *const *)b;
	int order = memcmp(x->id, y->id, 64);

	if (order != 0)
		return order;
	return x < y ? -1 : x > y;
}

int sfd_layer_list_read(struct sfd_layer_list *list, int dirfd, const char *path, const char *where,
	struct splitfd_error *err)
{
	struct splitfd_error why = { 0 };
	struct context c = { .where = where, .file = path, .err = err };
	const cJSON *record;
	size_t n, i = 0;
	int r = read_json(&c, dirfd, path, &list->json, &list->stamp);

	if (r < 0 || list->json == NULL)
		return r;
	n = (size_t)cJSON_GetArraySize(list->json);
	list->v = calloc(n + 1, sizeof(*list->v));
	list->by_id = calloc(n + 1, sizeof(struct sfd_layer_record *));
	if (list->v == NULL || list->by_id == NULL)
		return splitfd_error_oom(err);
	c.err = &why;
	cJSON_ArrayForEach (record, list->json) {
		struct sfd_layer_record *layer = &list->v[list->n];

		*layer = (struct sfd_layer_record){ 0 };
		r = take_record(&list->odd, read_layer(&c, i++, record, layer), &why, err);
		if (r < 0)
			return r;
		if (r > 0)
			list->by_id[list->n++] = layer;
	}
	qsort(list->by_id, list->n, sizeof(struct sfd_layer_record *), compare_layers);
	return 0;
}

void sfd_image_list_done(struct sfd_image_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((void *)(uintptr_t)list->v[i].names);
	free(list->v);
	cJSON_Delete(list->json);
	*list = (struct sfd_image_list){ 0 };
}

void sfd_layer_list_done(struct sfd_layer_list *list)
{
	free(list->v);
	free(list->by_id);
	cJSON_Delete(list->json);
	*list = (struct sfd_layer_list){ 0 };
}

const struct sfd_image_record *sfd_image_list_find(
	const struct sfd_image_list *list, const char *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].id, id) == 0)
			return &list->v[i];
	return NULL;
}

const struct sfd_layer_record *sfd_layer_list_find(
	const struct sfd_layer_list *list, const char *id)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(list->by_id[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < list->n && strcmp(list->by_id[low]->id, id) == 0)
		return list->by_id[low];
	return NULL;
}

const char *sfd_image_big_data_digest(const struct sfd_image_record *image, const char *key)
{
	const cJSON *d = cJSON_GetObjectItemCaseSensitive(image->big_data_digests, key);

	return cJSON_IsString(d) ? d->valuestring : NULL;
}

uint64_t sfd_layer_record_size(const struct sfd_layer_record *layer, const char *diff_id)
{
	static const char empty[] =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

	if (layer->diff_size != 0 || (diff_id != NULL && strcmp(diff_id, empty) == 0))
		return layer->diff_size;
	return UINT64_MAX;
}
