/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.conf: any text, read twice into one configuration as a main file and its drop-in; then
 * the names of images and references with their specifiers, from the same text.
 */
#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/conf/storage-conf.h"
#include "transport/containers-storage/store.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reference(const char *text)
{
	struct splitfd_store_options options = { 0 };
	struct sfd_docker_ref ref;
	const char *rest = NULL;
	char *spec = NULL;

	if (splitfd_store_parse_reference(text, &options, &spec, &rest, NULL) >= 0) {
		assert(rest >= text && rest <= text + strlen(text));
		assert((spec != NULL) == options.from_specifier);
		assert(options.root == NULL || options.root[0] == '/');
		for (size_t i = 0; spec != NULL && options.options[i] != NULL; i++)
			assert(options.options[i][0] != '\0');
	}
	free(spec);
	if (sfd_docker_ref_parse(text, &ref) == NULL) {
		assert(strlen(ref.repository) <= SFD_REPOSITORY_MAX && ref.repository[0] != '\0');
		sfd_docker_ref_normalise(&ref);
		assert(strchr(ref.repository, '/') != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_conf *conf = sfd_conf_new();
	struct splitfd_error err = { 0 };
	char *text = malloc(size + 1);
	const char *value = NULL;
	const char *const *items;
	size_t n = 0;

	assert(conf != NULL && text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (sfd_conf_parse(conf, text, size, "fuzz", &err) >= 0) {
		/* What was read once is read again, as another file. */
		assert(sfd_conf_parse(conf, text, size, "again", &err) >= 0);
		if (sfd_conf_array(conf, "a", &items, &n, &err) > 0)
			for (size_t i = 0; i < n; i++)
				assert(items[i] != NULL);
		if (sfd_conf_string(conf, "storage.driver", &value, &err) > 0)
			assert(value != NULL);
	} else {
		assert(err.kind == SPLITFD_ERROR_USAGE && err.text[0] != '\0');
	}
	sfd_conf_free(conf);
	check_reference(text);
	free(text);
	return 0;
}
