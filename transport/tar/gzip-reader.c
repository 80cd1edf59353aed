/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/gzip-reader.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/io.h"
#include "transport/tar/gzip-header.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_SIZE ((size_t)64 * 1024)

struct sfd_gzip_reader {
	int fd; /* -EBADF: from `next` */
	sfd_gzip_input *next;
	void *ctx;
	char *what;
	bool in_member; /* a member has begun and is not complete */
	struct sfd_gzip_header header;
	bool any_member;
	bool padded;	    /* nothing but padding follows */
	bool input_done;    /* end of file seen */
	int failed;	    /* -errno that every further call gives */
	uint64_t input_end; /* offset in the file behind what is in `input` */
	struct inflate_state inflate;
	uint8_t input[INPUT_SIZE];
};

SFD_DEFINE_CLEANUP(reader_cleanup, struct sfd_gzip_reader, sfd_gzip_reader_free);

static int make_reader(int fd, sfd_gzip_input *input, void *ctx, const char *what,
	struct sfd_gzip_reader **ret, struct splitfd_error *err)
{
	sfd_cleanup_fd int owned = fd;
	sfd_cleanup(reader_cleanup) struct sfd_gzip_reader *reader = malloc(sizeof(*reader));

	if (reader == NULL)
		return splitfd_error_oom(err);
	memset(reader, 0, offsetof(struct sfd_gzip_reader, inflate));
	reader->fd = sfd_take_fd(&owned);
	reader->next = input;
	reader->ctx = ctx;
	isal_inflate_init(&reader->inflate);
	reader->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
	reader->inflate.next_in = reader->input;
	reader->what = strdup(what);
	if (reader->what == NULL)
		return splitfd_error_oom(err);
	*ret = sfd_take_ptr(&reader);
	return 0;
}

int sfd_gzip_reader_new(
	int fd, const char *what, struct sfd_gzip_reader **ret, struct splitfd_error *err)
{
	return make_reader(fd, NULL, NULL, what, ret, err);
}

int sfd_gzip_reader_new_input(sfd_gzip_input *input, void *ctx, const char *what,
	struct sfd_gzip_reader **ret, struct splitfd_error *err)
{
	return make_reader(-EBADF, input, ctx, what, ret, err);
}

struct sfd_gzip_reader *sfd_gzip_reader_free(struct sfd_gzip_reader *reader)
{
	if (reader == NULL)
		return NULL;
	sfd_close(reader->fd);
	free(reader->what);
	free(reader);
	return NULL;
}

static int damaged(struct sfd_gzip_reader *reader, const char *why, struct splitfd_error *err)
{
	reader->failed = -EINVAL;
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EINVAL,
		"%s: %s%s, at byte %llu of the compressed file", reader->what,
		reader->next == NULL ? "its tar-split is damaged: " : "", why,
		(unsigned long long)(reader->input_end - reader->inflate.avail_in));
}

/* Text for a result of isal_inflate. */
static const char *inflate_text(int r)
{
	return r == ISAL_INCORRECT_CHECKSUM ? "wrong gzip checksum" : "damaged deflate data";
}

/* Fills the empty input. 1: there is some; 0: end of file. */
static int refill(struct sfd_gzip_reader *reader, struct splitfd_error *err)
{
	ssize_t got = reader->next != NULL
			      ? reader->next(reader->ctx, reader->input, INPUT_SIZE, err)
			      : sfd_read_upto(reader->fd, reader->input, INPUT_SIZE);

	if (got < 0 && reader->next != NULL)
		return reader->failed = (int)got;
	if (got < 0) {
		reader->failed = (int)got;
		return splitfd_error_sys(err, -(int)got, "%s: cannot read", reader->what);
	}
	reader->input_end += (uint64_t)got;
	reader->inflate.next_in = reader->input;
	reader->inflate.avail_in = (uint32_t)got;
	return got > 0;
}

/* More input where there is none and the file has not ended. */
static int want_input(struct sfd_gzip_reader *reader, struct splitfd_error *err)
{
	int r = 1;

	if (reader->inflate.avail_in == 0 && !reader->input_done) {
		r = refill(reader, err);
		reader->input_done = r == 0;
	}
	return r < 0 ? r : 0;
}

/* Zeros after a member, up to the end: padding. Only where the input is no file of the store's. */
static int skip_padding(struct sfd_gzip_reader *reader, struct splitfd_error *err)
{
	struct inflate_state *state = &reader->inflate;
	int r = 0;

	if (reader->next == NULL || !reader->any_member || reader->in_member)
		return 0;
	while (r == 0 && state->avail_in > 0 && state->next_in[0] == 0) {
		reader->padded = true;
		state->next_in++;
		state->avail_in--;
		r = want_input(reader, err);
	}
	if (r == 0 && reader->padded && state->avail_in > 0)
		return damaged(reader, "bytes after the padding", err);
	return r;
}

/* What there is of a member's header. */
static int take_header(struct sfd_gzip_reader *reader, struct splitfd_error *err)
{
	struct inflate_state *state = &reader->inflate;

	while (state->avail_in > 0 && reader->header.field != SFD_GZIP_DONE) {
		const char *wrong = sfd_gzip_header_put(&reader->header, *state->next_in);

		state->next_in++;
		state->avail_in--;
		if (wrong != NULL)
			return damaged(reader, wrong, err);
	}
	return 0;
}

/* A piece of the header, or one call of isal_inflate and the change to the next member. */
static int step(struct sfd_gzip_reader *reader, struct splitfd_error *err)
{
	struct inflate_state *state = &reader->inflate;
	int r;

	if (!reader->in_member)
		reader->header = (struct sfd_gzip_header){ 0 };
	reader->in_member = true;
	if (reader->header.field != SFD_GZIP_DONE)
		return take_header(reader, err);
	r = isal_inflate(state);
	if (r < 0 || r == ISAL_NEED_DICT)
		return damaged(reader, inflate_text(r), err);
	if (state->block_state == ISAL_BLOCK_FINISH) {
		reader->in_member = false;
		reader->any_member = true;
		isal_inflate_reset(state);
		state->crc_flag = ISAL_GZIP_NO_HDR_VER;
	}
	return 0;
}

ssize_t sfd_gzip_read(
	struct sfd_gzip_reader *reader, void *buffer, size_t n, struct splitfd_error *err)
{
	struct inflate_state *state = &reader->inflate;
	int r;

	if (reader->failed < 0)
		return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, -reader->failed,
			"%s: could not be read before", reader->what);
	if (n > UINT32_MAX / 2)
		n = UINT32_MAX / 2;
	state->next_out = buffer;
	state->avail_out = (uint32_t)n;
	while (state->avail_out > 0) {
		uint32_t room = state->avail_out;

		r = want_input(reader, err);
		if (r == 0)
			r = skip_padding(reader, err);
		if (r < 0)
			return r;
		if (state->avail_in == 0 && !reader->in_member) {
			if (!reader->any_member)
				return damaged(reader, "empty file", err);
			break;
		}
		r = step(reader, err);
		if (r < 0)
			return r;
		/* isal_inflate reads ahead: without input it may still have bytes to give. */
		if (reader->in_member && reader->input_done && state->avail_in == 0 &&
			state->avail_out == room)
			return damaged(reader, "the file is truncated", err);
	}
	return (ssize_t)(n - state->avail_out);
}
