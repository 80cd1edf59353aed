/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_COMPOSEFS_LAYER_PROOF_H
#define SPLITFD_COMPOSEFS_LAYER_PROOF_H

/*
 * Is a stored layer the one that its name says? A name in streams/ is made for what a pull was
 * given, and an unchecked pull believes its store. The proof is the tar's sha256, made of the
 * splitstream and its objects.
 *
 * What was proven is remembered: `splitfd-proven/DIFF_ID` of the repository is a symlink whose text
 * is the digest of the splitstream's object. That object names all others by digest, so the mark
 * stays true whatever becomes of them, and says nothing of a stream of another digest. cfsctl
 * ignores that directory. Who can write it can write the repository.
 */

#include "splitfdstream/digest.h"
#include "transport/composefs/repository.h"

/* True where the layer was proven to be in this splitstream. */
bool sfd_layer_is_proven(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream);

/* Remembers it, where the repository is open for writing. What fails costs the next one a proof. */
void sfd_layer_mark_proven(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream);

/* Proves a layer that was not proven yet. 0; -EBADMSG, of kind REFUSED, where the splitstream is
 * not that layer; or why that cannot be found out. *cancel as for splitfd_pump(). */
int sfd_layer_prove(struct splitfd_repository *repository, const char *diff_id,
	const struct splitfd_digest *stream, const volatile int *cancel, struct splitfd_error *err);

#endif
