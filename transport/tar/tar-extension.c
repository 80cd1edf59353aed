/* SPDX-License-Identifier: Apache-2.0 */
/* Headers in front of an entry: pax, global pax, GNU's long names. */
#include "transport/tar/tar-parser-private.h"

#include <errno.h>
#include <string.h>

#define PENDING_MAX 16 /* headers in front of one entry, for cfsctl */

void sfd_tar_extensions_forget(struct sfd_tar_parser *p)
{
	p->pending.have_pax = p->pending.have_name = p->pending.have_link = false;
	p->n_pending = 0;
	p->n_metadata = 0;
}

/* The header of 'x', 'g', 'L', 'K': its body comes next. */
int sfd_tar_extension_start(
	struct sfd_tar_parser *p, const struct sfd_tar_header *h, struct splitfd_error *err)
{
	uint64_t padded = 0;
	int r = sfd_tar_padded_size(h->size, &padded, err);

	if (r == 0 && ((h->type == 'x' && p->pending.have_pax) ||
			      (h->type == 'L' && p->pending.have_name) ||
			      (h->type == 'K' && p->pending.have_link)))
		r = sfd_tar_cfsctl_refuses(
			p, "a tar entry has two headers of the same kind in front", err);
	if (r == 0 && p->n_pending > PENDING_MAX)
		r = sfd_tar_cfsctl_refuses(p, "a tar entry has too many headers in front", err);
	if (r == 0 && h->size <= SFD_TAR_METADATA_MAX && h->type != 'g' &&
		h->size > SFD_TAR_METADATA_MAX - sfd_tar_min(SFD_TAR_METADATA_MAX, p->n_metadata))
		r = sfd_tar_cfsctl_refuses(
			p, "the headers of one tar entry have more than 1 MiB", err);
	if (r < 0)
		return r;
	if (h->size > SFD_TAR_METADATA_MAX)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EFBIG,
			"the headers of one tar entry have more than %d bytes",
			SFD_TAR_METADATA_MAX);
	p->body.len = 0;
	p->body_size = (size_t)h->size;
	p->body_type = h->type;
	p->skip = p->padding = padded - h->size;
	p->state = AT_METADATA;
	return 0;
}

/* Podman looks at the records of pax headers at once, also of those that count for nothing. */
static int check_pax(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	struct splitfd_error why;

	if (p->rules == SFD_TAR_OF_CFSCTL ||
		sfd_tar_pax_check_podman((const char *)p->body.data, p->body.len, &why) == 0)
		return 0;
	return sfd_tar_podman_refuses(p, why.text, err);
}

/* The body is there: keeps it for the entry that follows. */
int sfd_tar_extension_end(struct sfd_tar_parser *p, struct splitfd_error *err)
{
	struct sfd_tar_pending *pending = &p->pending;
	struct sfd_buffer *to = p->body_type == 'x'   ? &pending->pax
				: p->body_type == 'L' ? &pending->name
						      : &pending->link;
	int r = 0;

	p->state = p->skip > 0 ? AT_SKIP : AT_HEADER;
	if (p->body_type == 'x' || p->body_type == 'g')
		r = check_pax(p, err);
	if (r < 0)
		return r;
	if (p->body_type == 'g') {
		/* Both drop what came before a global header; its content says nothing. */
		sfd_tar_extensions_forget(p);
		return 0;
	}
	to->len = 0;
	if (sfd_buffer_append(to, p->body.data, p->body.len) < 0)
		return splitfd_error_oom(err);
	if (p->body_type != 'x' && to->len > 0 && to->data[to->len - 1] == '\0')
		to->len--;
	pending->have_pax = pending->have_pax || p->body_type == 'x';
	pending->have_name = pending->have_name || p->body_type == 'L';
	pending->have_link = pending->have_link || p->body_type == 'K';
	p->n_metadata += p->body_size;
	p->n_pending++;
	return 0;
}
