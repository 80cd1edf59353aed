/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/storage-conf.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/conf/toml.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CONF_FILE_MAX ((size_t)1024 * 1024)
#define CONF_KEYS_MAX 10000

static const char *const type_names[] = { [SFD_TOML_STRING] = "a string",
	[SFD_TOML_BOOL] = "true or false",
	[SFD_TOML_INTEGER] = "a whole number",
	[SFD_TOML_ARRAY] = "an array of strings" };

struct conf_entry {
	char *key;
	enum sfd_toml_type type;
	char *text;
	bool truth;
	char **items;
	size_t n_items;
	bool append;	       /* the array was given {append=true} */
	char *file;	       /* of the last value */
	unsigned int line;     /* likewise */
	unsigned int file_seq; /* likewise: a key may come once in a file */
};

struct sfd_conf {
	struct conf_entry *entries;
	size_t n, cap;
	unsigned int file_seq;
};

struct sfd_conf *sfd_conf_new(void)
{
	return calloc(1, sizeof(struct sfd_conf));
}

static void free_items(struct conf_entry *e)
{
	for (size_t i = 0; i < e->n_items; i++)
		free(e->items[i]);
	free(e->items);
	e->items = NULL;
	e->n_items = 0;
}

struct sfd_conf *sfd_conf_free(struct sfd_conf *conf)
{
	if (conf == NULL)
		return NULL;
	for (size_t i = 0; i < conf->n; i++) {
		free(conf->entries[i].key);
		free(conf->entries[i].text);
		free(conf->entries[i].file);
		free_items(&conf->entries[i]);
	}
	free(conf->entries);
	free(conf);
	return NULL;
}

static struct conf_entry *find_entry(const struct sfd_conf *conf, const char *key)
{
	for (size_t i = 0; i < conf->n; i++)
		if (strcmp(conf->entries[i].key, key) == 0)
			return &conf->entries[i];
	return NULL;
}

static int new_entry(
	struct sfd_conf *conf, const char *key, struct conf_entry **ret, struct splitfd_error *err)
{
	char *copy;

	if (conf->n == CONF_KEYS_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, E2BIG,
			"the storage configuration has too many keys");
	if (conf->n == conf->cap) {
		size_t cap = conf->cap == 0 ? 32 : conf->cap * 2;
		struct conf_entry *v = reallocarray(conf->entries, cap, sizeof(*v));

		if (v == NULL)
			return splitfd_error_oom(err);
		conf->entries = v;
		conf->cap = cap;
	}
	copy = strdup(key);
	if (copy == NULL)
		return splitfd_error_oom(err);
	*ret = &conf->entries[conf->n++];
	**ret = (struct conf_entry){ .key = copy };
	return 0;
}

/* Takes the items: behind those that e has already, or in their place. */
static int set_items(struct conf_entry *e, const struct sfd_toml_value *value)
{
	char **items;

	if (value->append != SFD_TOML_UNSAID)
		e->append = value->append == SFD_TOML_APPEND;
	if (!e->append)
		free_items(e);
	items = reallocarray(e->items, e->n_items + value->n_items + 1, sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	e->items = items;
	for (size_t i = 0; i < value->n_items; i++) {
		items[e->n_items] = strdup(value->items[i]);
		if (items[e->n_items] == NULL)
			return -ENOMEM;
		e->n_items++;
	}
	return 0;
}

static int store_value(struct sfd_conf *conf, const char *key, const struct sfd_toml_value *value,
	struct splitfd_error *err)
{
	struct conf_entry *e = find_entry(conf, key);

	if (e != NULL && e->file_seq == conf->file_seq)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"%s line %u: %s is set a second time (first in line %u)", value->file,
			value->line, key, e->line);
	if (e == NULL) {
		int r = new_entry(conf, key, &e, err);

		if (r < 0)
			return r;
	}
	e->type = value->type;
	e->truth = value->truth;
	e->line = value->line;
	e->file_seq = conf->file_seq;
	free(e->text);
	e->text = value->text != NULL ? strdup(value->text) : NULL;
	free(e->file);
	e->file = strdup(value->file);
	if (e->file == NULL || (value->text != NULL && e->text == NULL))
		return splitfd_error_oom(err);
	if (value->type == SFD_TOML_ARRAY && set_items(e, value) < 0)
		return splitfd_error_oom(err);
	return 0;
}

struct reading {
	struct sfd_conf *conf;
	sfd_toml_set *check;
	void *ctx;
};

/* What is in arrays of tables has no single value. */
static int set_value(
	void *ctx, const char *key, const struct sfd_toml_value *value, struct splitfd_error *err)
{
	const struct reading *reading = ctx;
	int r = reading->check != NULL ? reading->check(reading->ctx, key, value, err) : 0;

	if (r < 0 || value->elements > 0)
		return r;
	return r > 0 ? 0 : store_value(reading->conf, key, value, err);
}

static int parse_checked(struct reading *reading, const char *text, size_t size, const char *file,
	struct splitfd_error *err)
{
	reading->conf->file_seq++;
	return sfd_toml_parse(text, size, file, set_value, reading, err);
}

int sfd_conf_parse(struct sfd_conf *conf, const char *text, size_t size, const char *file,
	struct splitfd_error *err)
{
	return parse_checked(&(struct reading){ .conf = conf }, text, size, file, err);
}

static bool is_dev_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

int sfd_conf_load(struct sfd_conf *conf, const char *path, struct splitfd_error *err)
{
	return sfd_conf_load_checked(conf, path, NULL, NULL, err);
}

int sfd_conf_load_checked(struct sfd_conf *conf, const char *path, sfd_toml_set *check, void *ctx,
	struct splitfd_error *err)
{
	struct reading reading = { .conf = conf, .check = check, .ctx = ctx };
	sfd_cleanup_free char *text = NULL;
	sfd_cleanup_fd int fd = -EBADF;
	size_t size;
	int r;

	/* Symbolic links are followed: the administrator owns these paths. O_NONBLOCK: a FIFO of
	 * that name must not hold us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return splitfd_error_sys(err, errno, "%s: cannot open", path);
	if (is_dev_null(fd))
		return 0;
	r = sfd_read_file_fd(fd, CONF_FILE_MAX, &text, &size);
	if (r == -EINVAL)
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "%s: not a regular file", path);
	if (r < 0)
		return splitfd_error_sys(err, -r, "%s: cannot read", path);
	return parse_checked(&reading, text, size, path, err);
}

/* The entry if it has the type; NULL in *ret where the key is absent. */
static int get(const struct sfd_conf *conf, const char *key, enum sfd_toml_type type,
	const struct conf_entry **ret, struct splitfd_error *err)
{
	*ret = find_entry(conf, key);
	if (*ret != NULL && (*ret)->type != type)
		return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL,
			"%s line %u: %s must be %s, not %s", (*ret)->file, (*ret)->line, key,
			type_names[type], type_names[(*ret)->type]);
	return *ret != NULL;
}

int sfd_conf_string(
	const struct sfd_conf *conf, const char *key, const char **ret, struct splitfd_error *err)
{
	const struct conf_entry *e;
	int r = get(conf, key, SFD_TOML_STRING, &e, err);

	if (r > 0)
		*ret = e->text;
	return r;
}

int sfd_conf_bool(
	const struct sfd_conf *conf, const char *key, bool *ret, struct splitfd_error *err)
{
	const struct conf_entry *e;
	int r = get(conf, key, SFD_TOML_BOOL, &e, err);

	if (r > 0)
		*ret = e->truth;
	return r;
}

int sfd_conf_array(const struct sfd_conf *conf, const char *key, const char *const **ret,
	size_t *ret_n, struct splitfd_error *err)
{
	const struct conf_entry *e;
	int r = get(conf, key, SFD_TOML_ARRAY, &e, err);

	if (r > 0) {
		*ret = (const char *const *)e->items;
		*ret_n = e->n_items;
	}
	return r;
}
