/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_TESTS_CHECK_H
#define SPLITFD_TESTS_CHECK_H

/*
 * Unit tests that register themselves and print TAP. A test file is one program:
 *
 *	TEST(name) { CHECK_INT(f(), 3); }
 *
 * A failed check prints both values and the place, and ends the test.
 */

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct check_test {
	const char *name;
	void (*run)(void);
	struct check_test *next;
};

static struct check_test *check_tests, **check_last = &check_tests;
static jmp_buf check_failed;

__attribute__((unused)) static void check_fail(const char *file, int line, const char *text)
{
	printf("# %s:%d: %s\n", file, line, text);
	longjmp(check_failed, 1);
}

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	__attribute__((constructor)) static void register_##id(void)                               \
	{                                                                                          \
		static struct check_test test = { #id, test_##id, NULL };                          \
		*check_last = &test;                                                               \
		check_last = &test.next;                                                           \
	}                                                                                          \
	static void test_##id(void)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			check_fail(__FILE__, __LINE__, "not " #condition);                         \
	} while (0)

#define CHECK_INT(a, b)                                                                            \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_) {                                                                    \
			char text_[256];                                                           \
			snprintf(                                                                  \
				text_, sizeof(text_), "%s = %lld, not %s = %lld", #a, a_, #b, b_); \
			check_fail(__FILE__, __LINE__, text_);                                     \
		}                                                                                  \
	} while (0)

#define CHECK_STR(a, b)                                                                            \
	do {                                                                                       \
		const char *a_ = (a), *b_ = (b);                                                   \
		if (a_ == NULL || b_ == NULL || strcmp(a_, b_) != 0) {                             \
			printf("# got      %s\n# expected %s\n", a_ ? a_ : "NULL",                 \
				b_ ? b_ : "NULL");                                                 \
			check_fail(__FILE__, __LINE__, #a " differs from " #b);                    \
		}                                                                                  \
	} while (0)

/* r >= 0, else err's text is printed. */
#define CHECK_OK(r, err)                                                                           \
	do {                                                                                       \
		long long r_ = (long long)(r);                                                     \
		if (r_ < 0) {                                                                      \
			printf("# %s\n", (err)->text);                                             \
			check_fail(__FILE__, __LINE__, #r " failed");                              \
		}                                                                                  \
	} while (0)

static bool check_run(const struct check_test *t)
{
	if (setjmp(check_failed) != 0)
		return false;
	t->run();
	return true;
}

int main(void)
{
	int n = 0, failed = 0;

	for (struct check_test *t = check_tests; t != NULL; t = t->next)
		n++;
	printf("1..%d\n", n);
	n = 0;
	for (struct check_test *t = check_tests; t != NULL; t = t->next) {
		bool ok = check_run(t);

		failed += !ok;
		printf("%s %d - %s\n", ok ? "ok" : "not ok", ++n, t->name);
		fflush(stdout);
	}
	return failed != 0;
}

#endif
