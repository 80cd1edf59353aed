/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tar/decompressor.h"
#include "splitfdstream/base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_SIZE ((size_t)64 * 1024)

struct sfd_decompressor {
	const struct sfd_codec *codec;
	void *state;
	sfd_decompressor_input *input;
	void *ctx;
	bool may_end;
	struct sfd_codec_buffers b;
	uint64_t input_end; /* offset of the end of b.in in the compressed file */
	uint8_t buffer[INPUT_SIZE];
};

const struct sfd_codec *sfd_codec_find(const uint8_t *at, size_t n)
{
	static const struct sfd_codec *const codecs[] = { &sfd_codec_zstd, &sfd_codec_xz,
		&sfd_codec_bzip2 };

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
		if (codecs[i]->matches(at, n))
			return codecs[i];
	}
	return NULL;
}

int sfd_decompressor_new(const struct sfd_codec *codec, sfd_decompressor_input *input, void *ctx,
	struct sfd_decompressor **ret, struct splitfd_error *err)
{
	struct sfd_decompressor *d = calloc(1, sizeof(*d));
	int r = d != NULL ? codec->open(&d->state, err) : splitfd_error_oom(err);

	if (r < 0) {
		free(d);
		return r;
	}
	d->codec = codec;
	d->input = input;
	d->ctx = ctx;
	*ret = d;
	return 0;
}

struct sfd_decompressor *sfd_decompressor_free(struct sfd_decompressor *d)
{
	if (d != NULL)
		d->codec->free(d->state);
	free(d);
	return NULL;
}

static int damaged(struct sfd_decompressor *d, const char *why, struct splitfd_error *err)
{
	return splitfd_error_set(err, SPLITFD_ERROR_REFUSED, EBADMSG,
		"cannot decompress: the %s data %s, at byte %llu of the compressed file",
		d->codec->name, why, (unsigned long long)(d->input_end - d->b.in_len));
}

static int refill(struct sfd_decompressor *d, struct splitfd_error *err)
{
	ssize_t n = d->input(d->ctx, d->buffer, sizeof(d->buffer), err);

	if (n < 0)
		return (int)n;
	d->b.in = d->buffer;
	d->b.in_len = (size_t)n;
	d->b.last = n == 0;
	d->input_end += (uint64_t)n;
	return 0;
}

ssize_t sfd_decompress(
	struct sfd_decompressor *d, void *buffer, size_t n, struct splitfd_error *err)
{
	d->b.out = buffer;
	d->b.out_len = n;
	while (d->b.out_len == n) {
		struct splitfd_error why = { 0 };
		size_t had;
		int r = d->b.in_len == 0 && !d->b.last ? refill(d, err) : 0;

		if (r < 0)
			return r;
		if (d->b.last && d->may_end)
			return 0;
		had = d->b.in_len;
		r = d->codec->run(d->state, &d->b, &why);
		if (r == -ENOMEM)
			return splitfd_error_oom(err);
		if (r < 0)
			return damaged(d, why.text, err);
		d->may_end = r > 0;
		if (r == 0 && d->b.out_len == n && d->b.in_len == had)
			return damaged(d, d->b.last ? "is truncated" : "is damaged", err);
	}
	return (ssize_t)(n - d->b.out_len);
}

static int missing(
	const char *format, const char *soname, const char *what, struct splitfd_error *err)
{
	const char *why = dlerror();

	return splitfd_error_set(err, SPLITFD_ERROR_FAILED, ENOTSUP,
		"cannot read what %s has compressed: %s; install %s", format,
		why != NULL ? why : what, soname);
}

int sfd_codec_library(const char *format, const char *const *sonames,
	const struct sfd_library_function *functions, size_t n, struct splitfd_error *err)
{
	void *handle = NULL;

	errno = 0; /* dlerror() does not always say that memory is short */
	for (size_t i = 0; handle == NULL && errno != ENOMEM && sonames[i] != NULL; i++)
		handle = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (handle == NULL)
		return errno == ENOMEM ? splitfd_error_oom(err)
				       : missing(format, sonames[0], sonames[0], err);
	for (size_t i = 0; i < n; i++) {
		void *address = dlsym(handle, functions[i].name);

		if (address == NULL) {
			int r = missing(format, sonames[0], functions[i].name, err);

			dlclose(handle);
			return r;
		}
		memcpy(functions[i].function, &address, sizeof(address));
	}
	/* NODELETE: the functions stay. */
	dlclose(handle);
	return 0;
}
