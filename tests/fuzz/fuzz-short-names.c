/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.conf: the first line is a name, the rest the file. What the name may stand for, in
 * turn, must be names with a registry, with the tag and digest that were asked for; there is an
 * end.
 */
#include "transport/containers-storage/conf/docker-ref.h"
#include "transport/containers-storage/conf/short-names.h"
#include "transport/containers-storage/conf/storage-conf.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* localhost, the name itself, and what the file lists: no file has more entries than bytes. */
static void walk(
	const struct sfd_short_names *names, const struct sfd_docker_ref *ref, size_t steps_max)
{
	struct sfd_docker_ref full;
	size_t step = 0;
	int r;

	while ((r = sfd_short_names_step(names, ref, step, &full)) != -ENOENT) {
		assert(step++ <= steps_max);
		if (r == 0)
			continue;
		assert(r == 1 && strchr(full.repository, '/') != NULL);
		assert(strcmp(full.tag, ref->tag) == 0 && strcmp(full.digest, ref->digest) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfd_short_names names = { .conf = sfd_conf_new() };
	struct splitfd_error err = { 0 };
	struct sfd_docker_ref ref;
	char *text = malloc(size + 1), *file;
	size_t n;

	assert(names.conf != NULL && text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	n = strcspn(text, "\n");
	file = n < size ? text + n + 1 : text + size;
	text[n] = '\0';
	if (sfd_conf_parse(names.conf, file, (size_t)(text + size - file), "fuzz", &err) < 0)
		assert(err.kind == SPLITFD_ERROR_USAGE && err.text[0] != '\0');
	if (sfd_docker_ref_parse(text, &ref) == NULL)
		walk(&names, &ref, size + 4);
	sfd_short_names_done(&names);
	free(text);
	return 0;
}
