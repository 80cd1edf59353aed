/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store's JSON may hold: the text as a list of layers, a list of images (with both look-ups
 * on it), a manifest and a config.
 */
#include "transport/containers-storage/image-ref.h"
#include "transport/containers-storage/store-files.h"
#include "transport/oci/oci-json.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir_path[64];

static void remove_dir(void)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/list", dir_path);
	(void)unlink(path);
	(void)rmdir(dir_path);
}

/* A directory for the list, gone when the program ends. */
static int make_dir(void)
{
	int dir;

	(void)snprintf(dir_path, sizeof(dir_path), "/tmp/sfd-fuzz.");
	memset(dir_path + strlen(dir_path), 'X', 6);
	assert(mkdtemp(dir_path) != NULL);
	assert(atexit(remove_dir) == 0);
	dir = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert(dir >= 0);
	return dir;
}

static void read_layers(int dir)
{
	struct sfd_layer_list layers = { 0 };
	struct splitfd_error err = { 0 };

	if (sfd_layer_list_read(&layers, dir, "list", "fuzz", &err) >= 0)
		for (size_t i = 0; i < layers.n; i++) {
			const struct sfd_layer_record *r = &layers.v[i];

			assert(sfd_store_id_valid(r->id));
			assert(r->parent == NULL || sfd_store_id_valid(r->parent));
			assert(sfd_layer_list_find(&layers, r->id) <= r);
		}
	else
		assert(err.kind == SPLITFD_ERROR_REFUSED);
	sfd_layer_list_done(&layers);
}

static void look_up(const struct sfd_image_db *db, const char *word)
{
	struct sfd_image_found found;

	for (int lookup = SPLITFD_LOOKUP_PODMAN; lookup <= SPLITFD_LOOKUP_BOTH; lookup++)
		if (sfd_image_ref_find(db, word, (enum splitfd_lookup)lookup, &found, NULL) >= 0)
			assert(found.list == 0 && sfd_store_id_valid(found.image->id));
}

static void read_images(int dir)
{
	struct sfd_image_list images = { 0 };
	const struct sfd_image_db db = { .lists = &images, .n = 1 };
	struct splitfd_error err = { 0 };

	if (sfd_image_list_read(&images, dir, "list", "fuzz", &err) >= 0)
		for (size_t i = 0; i < images.n && i < 8; i++) {
			look_up(&db, images.v[i].id);
			for (size_t k = 0; images.v[i].names[k] != NULL && k < 8; k++)
				look_up(&db, images.v[i].names[k]);
		}
	else
		assert(err.kind == SPLITFD_ERROR_REFUSED);
	sfd_image_list_done(&images);
}

static void read_documents(const char *text, size_t size)
{
	struct sfd_oci_manifest manifest;
	struct sfd_oci_config config;

	if (sfd_oci_manifest_parse(text, size, SFD_OCI_STORE, &manifest, NULL) >= 0)
		for (size_t i = 0; i < manifest.n_layers; i++)
			assert(sfd_oci_digest_ok(manifest.layers[i]));
	sfd_oci_manifest_done(&manifest);
	if (sfd_oci_config_parse(text, size, SFD_OCI_STORE, &config, NULL) >= 0)
		for (size_t i = 0; i < config.n_diff_ids; i++)
			assert(sfd_oci_digest_ok(config.diff_ids[i]));
	sfd_oci_config_done(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir = -1;
	char *text = malloc(size + 1);
	int fd;

	assert(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (dir < 0)
		dir = make_dir();
	fd = openat(dir, "list", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	assert(write(fd, text, size) == (ssize_t)size);
	close(fd);
	read_layers(dir);
	read_images(dir);
	read_documents(text, size);
	free(text);
	return 0;
}
