/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Drives the store reader for tests:
 *
 *	store-tool [OPTION…] show REFERENCE         the image and its layers, as JSON
 *	store-tool [OPTION…] list                   all images, as JSON
 *	store-tool [OPTION…] tar REFERENCE LAYER    the layer's tar on stdout
 *	store-tool [OPTION…] tars REFERENCE         sha256 of each layer's tar, base first
 *	store-tool lock DIRECTORY FILE              holds the shared lock until stdin ends
 *	store-tool [OPTION…] conf ETC USR           where the store is, by the configuration
 *						    with those two directories of the system's
 *	store-tool registries ETC USR		    what the short names on stdin stand for
 *	store-tool policy ETC USR		    the dir: scopes /0, /1, … and /named of
 *policy.json
 *
 * Options: --root, --runroot, --driver, --imagestore, --opt (repeated), --transport (the look-up
 * of the containers-storage: transport), --wait (after opening the image waits until stdin ends).
 * Exits as splitfd does.
 */

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "splitfdstream/digest.h"
#include "transport/containers-storage/conf/short-names.h"
#include "transport/containers-storage/discover.h"
#include "transport/containers-storage/store-files.h"
#include "transport/containers-storage/store-lock.h"
#include "transport/containers-storage/store.h"
#include "transport/skopeo/policy.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <unistd.h>

struct tool {
	struct splitfd_store_options options;
	const char *opts[32];
	size_t n_opts;
	enum splitfd_lookup lookup;
	bool wait;
};

static int print_json(cJSON *json)
{
	sfd_cleanup_free char *text = cJSON_Print(json);

	cJSON_Delete(json);
	return text != NULL && puts(text) >= 0 ? 0 : -ENOMEM;
}

static cJSON *names_json(const char *const *names)
{
	cJSON *array = cJSON_CreateArray();

	for (; *names != NULL; names++)
		cJSON_AddItemToArray(array, cJSON_CreateString(*names));
	return array;
}

static int show(struct splitfd_image *image)
{
	cJSON *json = cJSON_CreateObject(), *layers = cJSON_CreateArray();
	size_t size;

	cJSON_AddStringToObject(json, "id", splitfd_image_id(image));
	cJSON_AddItemToObject(json, "names", names_json(splitfd_image_names(image)));
	cJSON_AddStringToObject(json, "manifest", splitfd_image_manifest(image, &size));
	cJSON_AddStringToObject(json, "config", splitfd_image_config(image, &size));
	cJSON_AddStringToObject(json, "manifestDigest", splitfd_image_manifest_digest(image));
	cJSON_AddStringToObject(json, "configDigest", splitfd_image_config_digest(image));
	for (size_t i = 0; i < splitfd_image_n_layers(image); i++) {
		const struct splitfd_layer_info *info = splitfd_image_layer(image, i);
		cJSON *layer = cJSON_CreateObject();

		cJSON_AddStringToObject(layer, "diffId", info->diff_id);
		cJSON_AddStringToObject(layer, "manifestDigest", info->manifest_digest);
		cJSON_AddStringToObject(layer, "layerId", info->layer_id);
		if (info->size != UINT64_MAX)
			cJSON_AddNumberToObject(layer, "size", (double)info->size);
		cJSON_AddBoolToObject(layer, "claimed", info->diff_id_claimed);
		cJSON_AddItemToArray(layers, layer);
	}
	cJSON_AddItemToObject(json, "layers", layers);
	return print_json(json);
}

static int add_row(void *ctx, const struct splitfd_image_row *row)
{
	cJSON *line = cJSON_CreateObject();

	cJSON_AddStringToObject(line, "id", row->id);
	cJSON_AddItemToObject(line, "names", names_json(row->names));
	if (row->digest != NULL)
		cJSON_AddStringToObject(line, "digest", row->digest);
	cJSON_AddItemToArray(ctx, line);
	return 0;
}

/* Takes a run of the stream's bytes: into the digest, and to stdout where `out`. */
struct output {
	struct splitfd_sha256 *sha;
	bool out;
};

static int put(struct output *output, const void *data, size_t n, struct splitfd_error *err)
{
	int r = output->out ? sfd_write_all(STDOUT_FILENO, data, n) : 0;

	splitfd_sha256_update(output->sha, data, n);
	return r < 0 ? splitfd_error_sys(err, -r, "stdout") : 0;
}

static int put_file(struct output *output, struct splitfd_chunk *chunk, struct splitfd_error *err)
{
	static char buffer[256 * 1024];
	sfd_cleanup_fd int fd = -EBADF;
	uint64_t crc = 0, done = 0;
	ssize_t n;
	int r = splitfd_chunk_open(chunk, &fd, NULL, err);

	if (r < 0)
		return r;
	while ((n = sfd_read_some(fd, buffer, sizeof(buffer))) > 0) {
		crc = splitfd_crc64(crc, buffer, (size_t)n);
		done += (uint64_t)n;
		r = put(output, buffer, (size_t)n, err);
		if (r < 0)
			return r;
	}
	if (n < 0)
		return splitfd_error_sys(err, (int)-n, "reading a file of the layer");
	if (done != chunk->size || (chunk->has_crc64 && crc != chunk->crc64))
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"%s: the file was changed in the store", chunk->name);
	return 0;
}

static int stream(struct splitfd_image *image, size_t i, bool out, struct splitfd_error *err)
{
	struct output output = { .sha = splitfd_sha256_new(), .out = out };
	struct splitfd_source *source = NULL;
	struct splitfd_chunk chunk;
	char sha256[72];
	int r = splitfd_image_open_layer(image, i, &source, err);

	while (r >= 0 && (r = splitfd_source_next(source, &chunk, err)) > 0) {
		r = chunk.kind == SPLITFD_CHUNK_INLINE
			    ? put(&output, chunk.data, chunk.data_len, err)
			    : put_file(&output, &chunk, err);
		splitfd_chunk_clear(&chunk);
	}
	if (r >= 0)
		r = splitfd_sha256_final_text(output.sha, sha256, err);
	splitfd_sha256_free(output.sha);
	splitfd_source_free(source);
	if (r >= 0 && strcmp(sha256, splitfd_image_layer(image, i)->diff_id) != 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
			"layer %zu: the tar's sha256 is %s, not the diff_id", i, sha256);
	if (r >= 0 && !out)
		puts(sha256);
	return r;
}

static void wait_for_stdin(const char *say)
{
	char byte;

	printf("%s\n", say);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static int lock(const char *directory, const char *file, struct splitfd_error *err)
{
	sfd_cleanup_fd int dir = sfd_store_open_root(directory);
	sfd_cleanup_fd int fd = -EBADF;

	if (dir < 0)
		return splitfd_error_sys(err, -dir, "%s", directory);
	fd = sfd_store_lock_shared(dir, file, directory, NULL, err);
	if (fd == -ENOENT)
		return splitfd_error_sys(err, ENOENT, "%s", file);
	if (fd < 0)
		return fd;
	wait_for_stdin("locked");
	return 0;
}

static int conf(const struct splitfd_store_options *options, const char *etc, const char *usr,
	struct splitfd_error *err)
{
	const struct sfd_discover_dirs dirs = { .etc = etc, .usr = usr };
	struct sfd_store_config config = { 0 };
	int r = sfd_store_discover(options, &dirs, &config, err);

	if (r >= 0) {
		printf("root %s\nrunroot %s\nimagestore %s\ndriver %s\ntransient %s\n", config.root,
			config.runroot, config.imagestore != NULL ? config.imagestore : "",
			config.driver != NULL ? config.driver : "",
			config.transient ? "true" : "false");
		for (size_t i = 0; i < config.n_additional; i++)
			printf("additional %s\n", config.additional[i]);
	}
	sfd_store_config_done(&config);
	return r;
}

/* One name a line; only the steps that registries.conf has a say in. */
static int registries(const char *etc, const char *usr, struct splitfd_error *err)
{
	const struct sfd_discover_dirs dirs = { .etc = etc, .usr = usr };
	struct sfd_short_names names = { 0 };
	char line[1024];
	int r = sfd_short_names_load(&names, &dirs, err);

	if (r == 0 && names.wrong.kind != SPLITFD_ERROR_NONE) {
		*err = names.wrong;
		r = -names.wrong.errnum;
	}
	while (r == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		struct sfd_docker_ref ref, full, last;

		line[strcspn(line, "\n")] = '\0';
		if (sfd_docker_ref_parse(line, &ref) != NULL || ref.qualified)
			return splitfd_error_set(err, SPLITFD_ERROR_USAGE, EINVAL, "%s", line);
		printf("name %s\n", line);
		for (size_t i = 0; sfd_short_names_step(&names, &ref, i + 1, &last) >= 0; i++) {
			if (sfd_short_names_step(&names, &ref, i, &full) > 0)
				printf("%s\n", full.repository);
		}
	}
	sfd_short_names_done(&names);
	return r;
}

static int policy(const char *etc, const char *usr, struct splitfd_error *err)
{
	static const char *const scopes[] = { "/0", "/1", "/2", "/3", "/named" };
	sfd_cleanup_policy struct sfd_policy *policy = NULL;
	sfd_cleanup_free char *path = NULL;
	int r = sfd_policy_path(etc, usr, &path, err);

	if (r == 0)
		r = sfd_policy_load(path, &policy, err);
	for (size_t i = 0; r == 0 && i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		const char *const scope[] = { scopes[i], NULL };

		if (sfd_policy_verdict(policy, "dir", scope) == SFD_POLICY_ACCEPT)
			printf("scope %s\n", scopes[i]);
	}
	return r;
}

static int with_image(
	struct tool *t, struct splitfd_image *image, char **argv, struct splitfd_error *err)
{
	size_t i = 0;
	int r = 0;

	if (t->wait)
		wait_for_stdin("opened");
	if (strcmp(argv[0], "show") == 0)
		return show(image);
	if (strcmp(argv[0], "tar") == 0) {
		r = splitfd_image_find_layer(image, argv[2], &i, err);
		return r < 0 ? r : stream(image, i, true, err);
	}
	for (i = 0; r >= 0 && i < splitfd_image_n_layers(image); i++)
		r = stream(image, i, false, err);
	return r;
}

static int run(struct tool *t, int argc, char **argv, struct splitfd_error *err)
{
	struct splitfd_store *store = NULL;
	struct splitfd_image *image = NULL;
	sfd_cleanup_free char *spec = NULL;
	const char *rest = "";
	int r = 0;

	if (argc == 3 && strcmp(argv[0], "lock") == 0)
		return lock(argv[1], argv[2], err);
	if (argc == 3 && strcmp(argv[0], "conf") == 0)
		return conf(&t->options, argv[1], argv[2], err);
	if (argc == 3 && strcmp(argv[0], "registries") == 0)
		return registries(argv[1], argv[2], err);
	if (argc == 3 && strcmp(argv[0], "policy") == 0)
		return policy(argv[1], argv[2], err);
	if (argc > 1)
		r = splitfd_store_parse_reference(argv[1], &t->options, &spec, &rest, err);
	if (r >= 0)
		r = splitfd_store_open(&t->options, &store, err);
	if (r >= 0 && strcmp(argv[0], "list") == 0) {
		cJSON *rows = cJSON_CreateArray();

		r = splitfd_store_list_images(store, add_row, rows, err);
		if (r >= 0)
			r = print_json(rows);
		else
			cJSON_Delete(rows);
	} else if (r >= 0) {
		if (t->lookup == SPLITFD_LOOKUP_PODMAN && argc > 1 && rest != argv[1])
			t->lookup = SPLITFD_LOOKUP_BOTH;
		r = splitfd_image_open(store, rest, t->lookup, &image, err);
		if (r >= 0)
			r = with_image(t, image, argv, err);
	}
	splitfd_image_close(image);
	splitfd_store_close(store);
	return r;
}

/* True where argv[i] is the option and has a value, which goes to *ret. */
static bool option(char **argv, int *i, const char *name, const char **ret)
{
	if (strcmp(argv[*i], name) != 0 || argv[*i + 1] == NULL)
		return false;
	*ret = argv[++*i];
	return true;
}

int main(int argc, char **argv)
{
	struct tool t = { .lookup = SPLITFD_LOOKUP_PODMAN };
	struct splitfd_error err = { 0 };
	const char *opt;
	int i, r;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--transport") == 0) {
			t.lookup = SPLITFD_LOOKUP_TRANSPORT;
		} else if (strcmp(argv[i], "--wait") == 0) {
			t.wait = true;
		} else if (option(argv, &i, "--opt", &opt) && t.n_opts < 31) {
			t.opts[t.n_opts++] = opt;
			t.options.options = t.opts;
		} else if (!option(argv, &i, "--root", &t.options.root) &&
			   !option(argv, &i, "--runroot", &t.options.runroot) &&
			   !option(argv, &i, "--imagestore", &t.options.imagestore) &&
			   !option(argv, &i, "--driver", &t.options.driver)) {
			fprintf(stderr, "store-tool: what is %s?\n", argv[i]);
			return 2;
		}
	}
	if (i == argc) {
		fprintf(stderr, "store-tool: no command\n");
		return 2;
	}
	r = run(&t, argc - i, argv + i, &err);
	if (r < 0)
		fprintf(stderr, "store-tool: %s\n", err.text);
	if (fflush(stdout) != 0)
		return 1;
	return r < 0 ? splitfd_error_exit_code(err.kind) : 0;
}
