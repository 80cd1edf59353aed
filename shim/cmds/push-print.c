/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a push, for people and as JSON. */
#include "shim/cmds/copy-print.h"
#include "shim/common/report.h"

#include <stdio.h>

static bool add(cJSON *object, const char *name, uint64_t value)
{
	return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

static cJSON *counts(const struct sfd_push_report *r)
{
	cJSON *o = cJSON_CreateObject();

	if (add(o, "layers_sent", r->layers_sent) &&
		add(o, "layers_already_present", r->layers_present) &&
		add(o, "bytes", r->sent.tar) && add(o, "bytes_streamed", r->sent.stream) &&
		add(o, "objects_reflinked", r->objects.reflinked) &&
		add(o, "objects_hardlinked", r->objects.hardlinked) &&
		add(o, "objects_copied", r->objects.copied) &&
		add(o, "objects_already_present", r->objects.present))
		return o;
	cJSON_Delete(o);
	return NULL;
}

static cJSON *report_json(const struct sfd_push_report *r)
{
	const struct {
		const char *name, *text;
	} rows[] = { { "manifest_digest", r->final.manifest_digest },
		{ "config_digest", r->final.config_digest },
		{ "manifest_verity", r->final.manifest_verity },
		{ "config_verity", r->final.config_verity }, { "tag", r->tag } };
	cJSON *o = cJSON_CreateObject(), *moved = counts(r);
	bool good = moved != NULL;

	for (size_t i = 0; good && i < sizeof(rows) / sizeof(rows[0]); i++)
		good = cJSON_AddStringToObject(o, rows[i].name, rows[i].text) != NULL;
	if (good && cJSON_AddItemToObject(o, "stats", moved))
		return o;
	cJSON_Delete(moved);
	cJSON_Delete(o);
	return NULL;
}

int sfd_push_report_print(const struct sfd_push_report *r, bool json, struct splitfd_error *err)
{
	char tar[32], stream[32];

	if (json)
		return sfd_print_json(report_json(r), err);
	sfd_format_bytes(r->sent.tar, tar);
	sfd_format_bytes(r->sent.stream, stream);
	printf("manifest %s\nconfig   %s\nverity   %s\ntagged   ", r->final.manifest_digest,
		r->final.config_digest, r->final.manifest_verity);
	sfd_print_text(stdout, r->tag);
	putchar('\n');
	printf("layers   %llu sent + %llu already present; %s, of which %s streamed\n",
		(unsigned long long)r->layers_sent, (unsigned long long)r->layers_present, tar,
		stream);
	printf("objects  %llu reflinked + %llu hard-linked + %llu copied + %llu already present\n",
		(unsigned long long)r->objects.reflinked, (unsigned long long)r->objects.hardlinked,
		(unsigned long long)r->objects.copied, (unsigned long long)r->objects.present);
	return 0;
}
