/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/kv.h"

/* In these texts ';' stands for the record and '=' for the field separator. */
static struct span wire_of(const char *text)
{
	char *p = strdup(text);
	const size_t n = strlen(text);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ';')
			p[i] = KV_RECORD_SEP;
		else if (p[i] == '=')
			p[i] = KV_FIELD_SEP;
	}
	return (struct span){ p, n };
}

static void packs_to(const struct kv_list *l, const char *want)
{
	const struct span w = wire_of(want);
	const size_t n = kv_packed_size(l);
	char *out = malloc(n + 1);

	assert_non_null(out);
	assert_int_equal(n, w.n);
	kv_pack(l, out);
	assert_memory_equal(out, w.p, n);
	free(out);
	free((void *)(uintptr_t)w.p);
}

static void sorts_to(const char *text, const char *want)
{
	const struct span t = wire_of(text);
	struct kv_list l;

	assert_int_equal(kv_parse(t, &l), 0);
	kv_sort(&l);
	packs_to(&l, want);
	kv_list_fini(&l);
	free((void *)(uintptr_t)t.p);
}

static void merges_to(const char *old, const char *add, const char *want)
{
	const struct span o = wire_of(old);
	const struct span a = wire_of(add);
	struct kv_list lo;
	struct kv_list la;
	struct kv_list out;

	assert_int_equal(kv_parse(o, &lo), 0);
	assert_int_equal(kv_parse(a, &la), 0);
	assert_int_equal(kv_merge(&lo, &la, &out), 0);
	packs_to(&out, want);
	kv_list_fini(&out);
	kv_list_fini(&la);
	kv_list_fini(&lo);
	free((void *)(uintptr_t)a.p);
	free((void *)(uintptr_t)o.p);
}

static void test_records_are_sorted_by_unsigned_bytes(void **state)
{
	(void)state;
	sorts_to("b=1;a=2;B=3;A=4;\xc3=5", "A=4;B=3;a=2;b=1;\xc3=5");
	sorts_to("ab=1;a=2", "a=2;ab=1");
	sorts_to("", "");
}

static void test_a_trailing_separator_is_dropped(void **state)
{
	(void)state;
	sorts_to("a=1;", "a=1");
	sorts_to(";;a=1;;b=2;;", "a=1;b=2");
}

static void test_records_without_field_separator_are_dropped(void **state)
{
	(void)state;
	sorts_to("a=1;bare;b=2", "a=1;b=2");
	sorts_to("bare", "");
}

static void test_empty_names_and_values_are_kept(void **state)
{
	(void)state;
	sorts_to("b=;=x;=", "=x;=;b=");
}

static void test_a_value_may_hold_field_separators(void **state)
{
	(void)state;
	sorts_to("a=1=2=3", "a=1=2=3");
}

static void test_a_nul_ends_the_text(void **state)
{
	struct kv_list l;

	(void)state;
	assert_int_equal(kv_parse((struct span){ "a\2"
	                                         "1\0\1b\2"
	                                         "2",
	                              8 },
	                     &l),
	    0);
	packs_to(&l, "a=1");
	kv_list_fini(&l);
	assert_int_equal(kv_parse((struct span){ "\0a\2", 3 }, &l), 0);
	assert_int_equal(l.n, 0);
	kv_list_fini(&l);
}

static void test_long_names_and_values_are_cut(void **state)
{
	char text[512];
	char want[512];

	(void)state;
	snprintf(text, sizeof(text), "%070d=%0300d", 0, 0);
	snprintf(want, sizeof(want), "%064d=%0256d", 0, 0);
	sorts_to(text, want);
}

static void test_equal_names_keep_their_order(void **state)
{
	(void)state;
	sorts_to("b=9;a=3;a=1;a=2", "a=3;a=1;a=2;b=9");
}

static void test_long_lists_sort_stably(void **state)
{
	enum { N = 1000 };
	char text[N * 8];
	struct kv_list l;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%02u\2%04u\1", i * 7 % 100, i);
	assert_int_equal(kv_parse((struct span){ text, n }, &l), 0);
	assert_int_equal(l.n, N);
	kv_sort(&l);
	for (size_t i = 1; i < N; i++) {
		const struct kv *a = &l.items[i - 1];
		const struct kv *b = &l.items[i];
		const int c = memcmp(a->name.p, b->name.p, 2);

		assert_true(
		    c < 0 || (c == 0 && memcmp(a->value.p, b->value.p, 4) < 0));
	}
	kv_list_fini(&l);
}

static void test_merge_updates_known_and_adds_new_names(void **state)
{
	(void)state;
	merges_to("a=1;c=3", "c=9;b=2", "a=1;b=2;c=9");
	merges_to("", "b=2;a=1", "a=1;b=2");
	merges_to("a=1", "", "a=1");
	merges_to("", "", "");
}

static void test_merge_replaces_equal_names_one_by_one(void **state)
{
	(void)state;
	merges_to("a=1;a=2", "a=9", "a=9;a=2");
	merges_to("a=1", "n=1;n=2", "a=1;n=1;n=2");
	merges_to("a=1", "a=8;a=9", "a=8;a=9");
	merges_to("a=1;a=2", "a=7;a=8;a=9", "a=7;a=8;a=9");
	merges_to("a=1;a=2;b=3", "a=8;b=9;a=7", "a=8;a=7;b=9");
	merges_to("a=1;a=2;a=3", "a=8;a=9", "a=8;a=9;a=3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_are_sorted_by_unsigned_bytes),
		cmocka_unit_test(test_a_trailing_separator_is_dropped),
		cmocka_unit_test(
		    test_records_without_field_separator_are_dropped),
		cmocka_unit_test(test_empty_names_and_values_are_kept),
		cmocka_unit_test(test_a_value_may_hold_field_separators),
		cmocka_unit_test(test_a_nul_ends_the_text),
		cmocka_unit_test(test_long_names_and_values_are_cut),
		cmocka_unit_test(test_equal_names_keep_their_order),
		cmocka_unit_test(test_long_lists_sort_stably),
		cmocka_unit_test(test_merge_updates_known_and_adds_new_names),
		cmocka_unit_test(test_merge_replaces_equal_names_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
