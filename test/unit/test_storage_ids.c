/* SPDX-License-Identifier: MIT */
/* LAYERS: trackerd net meta proto base */
/* storage_ids.conf (configuration.md section 6, client-protocol 3.16). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "trackerd/ids.h"

static char err[512];

static int parse(const char *text, struct ids **out)
{
	char *copy = xstrdup(text);
	const int rc = ids_parse(copy, "ids.conf", out, err, sizeof(err));

	free(copy);
	return rc;
}

static struct ids *good(const char *text)
{
	struct ids *ids = NULL;

	assert_int_equal(parse(text, &ids), 0);
	return ids;
}

static void bad(const char *text, int rc, const char *word)
{
	struct ids *ids = NULL;

	assert_int_equal(parse(text, &ids), rc);
	assert_non_null(strstr(err, word));
}

static void expect_lines(const struct ids *ids, const char *expect)
{
	char text[1024];
	struct strbuf b = strbuf_over(text, sizeof(text));

	for (size_t i = 0; i < ids->n; i++)
		ids_print(&ids->items[i], &b);
	text[b.len] = 0;
	assert_string_equal(text, expect);
}

static struct addr ip(const char *text)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse_ip(span_of(text), &a), 0);
	return a;
}

static void test_the_example_loads_unchanged(void **state)
{
	struct ids *ids = good("# <id>  <group>  <address[:port]>  [rw]\n"
	                       "100001   group1  192.168.0.196\n"
	                       "100002   group1  "
	                       "192.168.0.197,47.10.20.30:23000\n"
	                       "100003\tgroup1  [2409:8a20:42d:2f40:587a:4c47:"
	                       "72c0:ad8e]:23001  rw=none\r\n");

	(void)state;
	assert_int_equal(ids->n, 3);
	assert_true(ids->has_ipv6);
	assert_int_equal(ids->items[1].n_addrs, 2);
	assert_int_equal(ids->items[2].rw, RW_NONE);
	expect_lines(ids,
	    "100001 group1 192.168.0.196:23000\n"
	    "100002 group1 192.168.0.197,47.10.20.30:23000\n"
	    "100003 group1 [2409:8a20:42d:2f40:587a:4c47:72c0:ad8e]:23001"
	    " rw=none\n");
	ids_free(ids);
}

static void test_lines_are_sent_in_byte_order_of_the_ids(void **state)
{
	struct ids *ids = good("7 group1 10.77.1.77:23110 rw=none\n"
	                       "100003 abcdefghijklmnop 10.77.1.13:23110\n"
	                       "100001 group1 203.0.113.11,10.77.1.11:23110\n"
	                       "100002 group1 10.77.1.12:23110 rw=both\n");

	(void)state;
	expect_lines(ids, "100001 group1 10.77.1.11,203.0.113.11:23110\n"
	                  "100002 group1 10.77.1.12:23110\n"
	                  "100003 abcdefghijklmnop 10.77.1.13:23110\n"
	                  "7 group1 10.77.1.77:23110 rw=none\n");
	assert_false(ids->has_ipv6);
	ids_free(ids);
}

static void test_entries_without_port_get_the_default(void **state)
{
	struct ids *ids = good("1 g 10.0.0.1\n2 g 10.0.0.2 rw=readonly\n");
	struct addr a = ip("10.0.0.2");

	(void)state;
	expect_lines(ids, "1 g 10.0.0.1:23000\n2 g 10.0.0.2:23000 rw=read\n");
	/* The file says nothing of ports: any port of that address fits. */
	assert_string_equal(ids_by_addr(ids, "g", &a, 23999)->id, "2");
	ids_free(ids);
}

static void test_look_ups(void **state)
{
	struct ids *ids = good("1 g 10.0.0.1,1.2.3.4:23000\n"
	                       "2 g 10.0.0.1:23001\n"
	                       "3 h 10.0.0.1:23002\n");
	struct addr a = ip("10.0.0.1");
	struct addr outer = ip("1.2.3.4");

	(void)state;
	assert_string_equal(ids_by_addr(ids, "g", &a, 23001)->id, "2");
	assert_string_equal(ids_by_addr(ids, "g", &outer, 23000)->id, "1");
	assert_null(ids_by_addr(ids, "g", &outer, 23001));
	assert_null(ids_by_addr(ids, "g", &a, 23002));
	assert_string_equal(ids_by_addr(ids, "", &a, 23002)->group, "h");
	assert_string_equal(ids_by_id(ids, span_of("3"))->group, "h");
	assert_null(ids_by_id(ids, span_of("4")));
	assert_null(ids_by_id(NULL, span_of("3")));
	ids_free(ids);
}

static void test_modes(void **state)
{
	static const struct {
		const char *word;
		enum rw_mode rw;
	} rows[] = {
		{ "both", RW_BOTH },
		{ "all", RW_BOTH },
		{ "read", RW_READ },
		{ "readonly", RW_READ },
		{ "write", RW_WRITE },
		{ "writeonly", RW_WRITE },
		{ "none", RW_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		struct strbuf b = strbuf_over(text, sizeof(text));
		struct ids *ids;

		strbuf_addf(&b, "1 g 10.0.0.1 rw=%s\n", rows[i].word);
		text[b.len] = 0;
		ids = good(text);
		assert_int_equal(ids->items[0].rw, rows[i].rw);
		ids_free(ids);
	}
}

static void test_address_forms(void **state)
{
	static const struct {
		const char *text;
		int rc;
		size_t n;
		uint16_t port;
	} rows[] = {
		{ "10.0.0.1", 0, 1, 0 },
		{ "10.0.0.1:23", 0, 1, 23 },
		{ "[fd88::21]:23", 0, 1, 23 },
		{ "[fd88::21]", 0, 1, 0 },
		{ "fd88::21", 0, 1, 0 },
		{ "[10.0.0.1,fd88::21]:23", 0, 2, 23 },
		{ "10.0.0.1,1.2.3.4:23", 0, 2, 23 },
		{ "10.0.0.1:", -EINVAL, 0, 0 },
		{ "10.0.0.1:0", -EINVAL, 0, 0 },
		{ "10.0.0.1:65536", -EINVAL, 0, 0 },
		{ "[fd88::21", -EINVAL, 0, 0 },
		{ "[fd88::21]23", -EINVAL, 0, 0 },
		{ "", -EINVAL, 0, 0 },
		{ "10.0.0.1,", -EINVAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a[2] = { 0 };
		size_t n = 0;
		uint16_t port = 0;
		const int rc =
		    ids_parse_addrs(span_of(rows[i].text), a, &n, &port);

		assert_int_equal(rc, rows[i].rc);
		if (rc < 0)
			continue;
		assert_int_equal(n, rows[i].n);
		assert_int_equal(port, rows[i].port);
	}
}

static void test_what_is_refused_and_why(void **state)
{
	(void)state;
	bad("", -EINVAL, "no storage");
	bad("# nothing\n\n", -EINVAL, "no storage");
	bad("0 g 10.0.0.1\n", -EINVAL, "ids.conf:1");
	bad("007 g 10.0.0.1\n", -EINVAL, "leading");
	bad("16777216 g 10.0.0.1\n", -EINVAL, "16777216");
	bad("x g 10.0.0.1\n", -EINVAL, "no id");
	bad("1\n", -EINVAL, "group");
	bad("1 g-1 10.0.0.1\n", -EINVAL, "g-1");
	bad("1 abcdefghijklmnopq 10.0.0.1\n", -EINVAL, "group");
	bad("\n1 g\n", -EINVAL, "ids.conf:2");
	bad("1 g 10.0.0.1:0\n", -EINVAL, "address");
	bad("1 g 10.0.0.1 rw=some\n", -EINVAL, "rw=some");
	bad("1 g 10.0.0.1 what\n", -EINVAL, "what");
	bad("1 g 10.0.0.1,10.0.0.2:23000\n", -EINVAL, "networks");
	bad("1 g 10.0.0.1\n1 g 10.0.0.2\n", -EEXIST, "id 1");
	bad("1 g 10.0.0.1:5\n2 g 10.0.0.1:5\n", -EEXIST, "same address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example_loads_unchanged),
		cmocka_unit_test(test_lines_are_sent_in_byte_order_of_the_ids),
		cmocka_unit_test(test_entries_without_port_get_the_default),
		cmocka_unit_test(test_look_ups),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_address_forms),
		cmocka_unit_test(test_what_is_refused_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
