/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/composefs/verity-mb.h"
#include "splitfdstream/base/dlopen-note.h"
#include "transport/composefs/algorithm.h"

#include <dlfcn.h>
#include <errno.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>
#include <time.h>

#if SFD_WITH_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

struct sfd_hasher {
	enum splitfd_algorithm algorithm;
	void *library; /* of dlopen; NULL without multi-buffer */
	int failed;    /* 0 or -errno, until the next flush */
	bool wide;     /* AVX-512 */
#if SFD_WITH_IPSEC_MB
	IMB_MGR *mgr;
	void (*free_mgr)(IMB_MGR *mgr);
#endif
};

#if SFD_WITH_IPSEC_MB

/* The name carries the ABI version: the one that the header is of. */
#if IMB_VERSION_NUM >= IMB_VERSION(2, 0, 0)
#define SONAME "libIPSec_MB.so.2"
#else
#define SONAME "libIPSec_MB.so.1"
#endif

SFD_DLOPEN_NOTE("ipsec-mb", "Several hashes at once, where the CPU's vectors make that faster",
	SFD_DLOPEN_SUGGESTED, SONAME);

static bool find_mb(struct sfd_hasher *h, IMB_MGR *(**ret_alloc)(uint64_t flags))
{
	h->library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (h->library == NULL)
		return false;
	*(void **)ret_alloc = dlsym(h->library, "alloc_mb_mgr");
	*(void **)&h->free_mgr = dlsym(h->library, "free_mb_mgr");
	return *ret_alloc != NULL && h->free_mgr != NULL;
}

static bool open_mb(struct sfd_hasher *h, bool sha_instructions)
{
	IMB_MGR *(*alloc_mgr)(uint64_t flags);
	void (*init_auto)(IMB_MGR * mgr, IMB_ARCH * arch);
	void (*init_sse)(IMB_MGR * mgr);
	IMB_ARCH arch = IMB_ARCH_NONE;

	if (!find_mb(h, &alloc_mgr))
		return false;
	*(void **)&init_auto = dlsym(h->library, "init_mb_mgr_auto");
	*(void **)&init_sse = dlsym(h->library, "init_mb_mgr_sse");
	h->mgr = init_auto != NULL && init_sse != NULL ? alloc_mgr(0) : NULL;
	if (h->mgr == NULL)
		return false;
	if (sha_instructions) {
		/* Its two-lane code runs on any CPU that has them. */
		if ((h->mgr->features & IMB_FEATURE_SHANI) == 0 || h->algorithm != SPLITFD_SHA256)
			return false;
		init_sse(h->mgr);
		return h->mgr->imb_errno == 0;
	}
	init_auto(h->mgr, &arch);
	h->wide = arch == IMB_ARCH_AVX512;
	return arch >= IMB_ARCH_AVX2;
}

static void close_mb(struct sfd_hasher *h)
{
	if (h->mgr != NULL)
		h->free_mgr(h->mgr);
	h->mgr = NULL;
	if (h->library != NULL)
		dlclose(h->library);
	h->library = NULL;
}

static void job_done(struct sfd_hasher *h, const IMB_JOB *job)
{
	if (job->status != IMB_STATUS_COMPLETED)
		h->failed = -EIO;
}

static void add_mb(struct sfd_hasher *h, const void *data, size_t len, uint8_t *out)
{
	bool sha512 = h->algorithm == SPLITFD_SHA512;
	IMB_JOB *job = IMB_GET_NEXT_JOB(h->mgr);

	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->cipher_mode = IMB_CIPHER_NULL;
	job->hash_alg = sha512 ? IMB_AUTH_SHA_512 : IMB_AUTH_SHA_256;
	job->src = data;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = len;
	job->auth_tag_output = out;
	job->auth_tag_output_len_in_bytes = sha512 ? 64 : 32;
	for (job = IMB_SUBMIT_JOB(h->mgr); job != NULL; job = IMB_GET_COMPLETED_JOB(h->mgr))
		job_done(h, job);
}

static void flush_mb(struct sfd_hasher *h)
{
	IMB_JOB *job;

	while ((job = IMB_FLUSH_JOB(h->mgr)) != NULL)
		job_done(h, job);
}

static bool has_mb(const struct sfd_hasher *h)
{
	return h->mgr != NULL;
}

#else

static bool open_mb(struct sfd_hasher *h, bool sha_instructions)
{
	(void)h, (void)sha_instructions;
	return false;
}

static void close_mb(struct sfd_hasher *h)
{
	(void)h;
}

static void add_mb(struct sfd_hasher *h, const void *data, size_t len, uint8_t *out)
{
	(void)data, (void)len, (void)out;
	h->failed = -EIO;
}

static void flush_mb(struct sfd_hasher *h)
{
	(void)h;
}

static bool has_mb(const struct sfd_hasher *h)
{
	(void)h;
	return false;
}

#endif

/* Without EVP, which takes memory: see splitfdstream/digest.c. */
static bool hash_openssl(enum splitfd_algorithm algorithm, const void *data, size_t n, uint8_t *out)
{
	SHA256_CTX sha256;
	SHA512_CTX sha512;

	if (algorithm == SPLITFD_SHA512)
		return SHA512_Init(&sha512) == 1 && SHA512_Update(&sha512, data, n) == 1 &&
		       SHA512_Final(out, &sha512) == 1;
	return SHA256_Init(&sha256) == 1 && SHA256_Update(&sha256, data, n) == 1 &&
	       SHA256_Final(out, &sha256) == 1;
}

struct sfd_hasher *sfd_hasher_new(enum splitfd_algorithm algorithm, enum sfd_hasher_kind kind)
{
	struct sfd_hasher *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->algorithm = algorithm;
	if (kind == SFD_HASHER_BEST)
		kind = sfd_hasher_choose(algorithm);
	if (kind == SFD_HASHER_OPENSSL)
		return h;
	return open_mb(h, kind == SFD_HASHER_MB_SHA) ? h : sfd_hasher_free(h);
}

struct sfd_hasher *sfd_hasher_free(struct sfd_hasher *h)
{
	if (h == NULL)
		return NULL;
	close_mb(h);
	free(h);
	return NULL;
}

enum splitfd_algorithm sfd_hasher_algorithm(const struct sfd_hasher *h)
{
	return h->algorithm;
}

bool sfd_hasher_is_mb(const struct sfd_hasher *h)
{
	return has_mb(h);
}

void sfd_hasher_add(struct sfd_hasher *h, const void *data, size_t len, uint8_t *out)
{
	if (has_mb(h))
		add_mb(h, data, len, out);
	else if (!hash_openssl(h->algorithm, data, len, out))
		h->failed = -EIO;
}

int sfd_hasher_flush(struct sfd_hasher *h)
{
	int failed;

	if (has_mb(h))
		flush_mb(h);
	failed = h->failed;
	h->failed = 0;
	return failed;
}

#define TRIAL_BLOCKS 16
#define TRIAL_ROUNDS 3

/* Nanoseconds of this thread's time for some blocks: the best of a few rounds. */
static uint64_t measure(struct sfd_hasher *h)
{
	uint8_t block[4096] = { 0 }, out[TRIAL_BLOCKS][SPLITFD_DIGEST_MAX];
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < TRIAL_ROUNDS; round++) {
		struct timespec a, b;
		uint64_t ns;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		for (int i = 0; i < TRIAL_BLOCKS; i++)
			sfd_hasher_add(h, block, sizeof(block), out[i]);
		if (sfd_hasher_flush(h) < 0)
			return UINT64_MAX;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		ns = (uint64_t)((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec);
		best = ns < best ? ns : best;
	}
	return best;
}

enum sfd_hasher_kind sfd_hasher_choose(enum splitfd_algorithm algorithm)
{
	static const enum sfd_hasher_kind kinds[] = { SFD_HASHER_MB, SFD_HASHER_OPENSSL,
		SFD_HASHER_MB_SHA };
	enum sfd_hasher_kind best = SFD_HASHER_OPENSSL;
	uint64_t best_ns = UINT64_MAX;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct sfd_hasher *h = sfd_hasher_new(algorithm, kinds[i]);
		uint64_t ns;
		bool wide;

		if (h == NULL)
			continue;
		wide = h->wide;
		ns = wide ? 0 : measure(h);
		sfd_hasher_free(h);
		if (ns < best_ns) {
			best_ns = ns;
			best = kinds[i];
		}
		if (wide)
			break;
	}
	return best;
}
