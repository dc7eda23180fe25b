/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/macros.h"

static void parses_as(const char *from, const char *to)
{
	char text[ADDR_TEXT_MAX];
	struct addr a;

	assert_int_equal(addr_parse(from, 22122, &a), 0);
	assert_string_equal(addr_text(&a, text, sizeof(text)), to);
}

static void test_addresses_are_read_in_every_form(void **state)
{
	(void)state;
	parses_as("127.0.0.1", "127.0.0.1:22122");
	parses_as("127.0.0.1:80", "127.0.0.1:80");
	parses_as("::1", "[::1]:22122");
	parses_as("fe80::1:2", "[fe80::1:2]:22122");
	parses_as("[::1]", "[::1]:22122");
	parses_as("[::1]:80", "[::1]:80");
	parses_as("[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535");
}

static void test_nonsense_is_no_address(void **state)
{
	static const char *const bad[] = { "", ":80",
		"127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8x",
		"256.1.1.1", "1.2.3", "1.2.3.4.5", "[::1", "[::1]80", "[]:80",
		"[127.0.0.1]:80", "::1::2", "a b", "a/b", "a,b" };
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(addr_parse(bad[i], 1, &a), -EINVAL);
}

static void test_names_are_looked_up(void **state)
{
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse("localhost:7", 1, &a), 0);
	assert_int_equal(a.port, 7);
	assert_int_not_equal(a.family, 0);
	assert_int_equal(addr_parse("no-such-host.invalid", 1, &a), -ENOENT);
}

static void test_ip_parse_leaves_the_port_and_needs_the_whole_text(void **state)
{
	struct addr a = { .port = 9 };
	char ip[ADDR_IP_MAX];

	(void)state;
	assert_int_equal(addr_parse_ip((struct span){ "10.1.2.34", 8 }, &a), 0);
	assert_string_equal(addr_ip(&a, ip, sizeof(ip)), "10.1.2.3");
	assert_int_equal(a.port, 9);
	assert_int_equal(addr_parse_ip(span_of("10.1.2.3 "), &a), -EINVAL);
	assert_int_equal(addr_parse_ip((struct span){ "10.1.2.3\0", 9 }, &a),
	    -EINVAL);
	assert_int_equal(addr_parse_ip(span_of(""), &a), -EINVAL);
}

static void test_longest_address_fits_its_buffer(void **state)
{
	char ip[ADDR_IP_MAX];
	struct addr a = { .family = 6, .port = 65535 };
	char text[ADDR_TEXT_MAX];

	(void)state;
	memset(a.ip, 0xff, sizeof(a.ip));
	assert_string_equal(addr_ip(&a, ip, sizeof(ip)),
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(addr_text(&a, text, sizeof(text)),
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	a.family = 0;
	assert_string_equal(addr_ip(&a, ip, sizeof(ip)), "");
}

static void test_equality_is_by_address_and_by_port(void **state)
{
	struct addr a;
	struct addr b;

	(void)state;
	addr_parse("127.0.0.1:1", 0, &a);
	addr_parse("127.0.0.1:2", 0, &b);
	assert_true(addr_same_ip(&a, &b));
	assert_false(addr_equal(&a, &b));
	b.port = 1;
	assert_true(addr_equal(&a, &b));
	addr_parse("[::1]:1", 0, &b);
	assert_false(addr_same_ip(&a, &b));
}

static enum addr_class class_of(const char *text)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse_ip(span_of(text), &a), 0);
	return addr_class(&a);
}

static void test_classes_end_where_the_networks_end(void **state)
{
	(void)state;
	assert_int_equal(class_of("10.255.0.1"), ADDR_CLASS_10);
	assert_int_equal(class_of("11.0.0.1"), ADDR_CLASS_OTHER);
	assert_int_equal(class_of("172.15.0.1"), ADDR_CLASS_OTHER);
	assert_int_equal(class_of("172.16.0.1"), ADDR_CLASS_172);
	assert_int_equal(class_of("172.31.255.1"), ADDR_CLASS_172);
	assert_int_equal(class_of("172.32.0.1"), ADDR_CLASS_OTHER);
	assert_int_equal(class_of("192.168.1.1"), ADDR_CLASS_192);
	assert_int_equal(class_of("192.169.1.1"), ADDR_CLASS_OTHER);
	assert_int_equal(class_of("fd00::1"), ADDR_CLASS_OTHER);
}

static void test_own_addresses_have_loopback_among_them(void **state)
{
	struct addr own[64];
	struct addr loopback = { 0 };
	bool found = false;
	const int n = addr_local(own, ARRAY_LEN(own));

	(void)state;
	addr_parse_ip(span_of("127.0.0.1"), &loopback);
	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		found = found || addr_same_ip(&own[i], &loopback);
	assert_true(found);
}

static struct addr_list *list_of(const char *line)
{
	struct addr_list *l = NULL;
	char err[200] = "";

	assert_int_equal(addr_list_parse(&line, 1, &l, err, sizeof(err)), 0);
	return l;
}

static bool has(const struct addr_list *l, const char *ip)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse_ip(span_of(ip), &a), 0);
	return addr_list_has(l, &a);
}

static void test_empty_list_and_star_let_everyone_in(void **state)
{
	static const char *const lines[] = { "", " , ", "*", "10.0.0.1,*" };
	struct addr_list *none = NULL;
	char err[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct addr_list *l = list_of(lines[i]);

		assert_true(has(l, "203.0.113.9"));
		addr_list_free(l);
	}
	assert_int_equal(addr_list_parse(NULL, 0, &none, err, sizeof(err)), 0);
	assert_true(has(none, "::1"));
	addr_list_free(none);
	addr_list_free(NULL);
}

static void test_single_addresses_and_networks_match_exactly(void **state)
{
	struct addr_list *l =
	    list_of("10.0.0.1, 10.1.0.0/26,2001:db8::/32 , [::5], 0.0.0.7/32");

	(void)state;
	assert_true(has(l, "10.0.0.1"));
	assert_false(has(l, "10.0.0.2"));
	assert_false(has(l, "10.0.255.255"));
	assert_true(has(l, "10.1.0.0"));
	assert_true(has(l, "10.1.0.63"));
	assert_false(has(l, "10.1.0.64"));
	assert_true(has(l, "2001:db8:ffff::1"));
	assert_false(has(l, "2001:db9::"));
	assert_true(has(l, "::5"));
	assert_true(has(l, "0.0.0.7"));
	assert_false(has(l, "0.0.0.6"));
	addr_list_free(l);
}

static void test_peer_on_a_dual_stack_socket_matches_its_v4_entry(void **state)
{
	struct addr_list *l = list_of("10.0.0.0/8");

	(void)state;
	assert_true(has(l, "::ffff:10.9.9.9"));
	assert_false(has(l, "::10.9.9.9"));
	addr_list_free(l);
}

static void test_ranges_in_brackets_are_expanded(void **state)
{
	struct addr_list *l = list_of("10.0.1.[1-15,20],10.0.[2-3].[7,9]");

	(void)state;
	assert_false(has(l, "10.0.1.0"));
	assert_true(has(l, "10.0.1.1"));
	assert_true(has(l, "10.0.1.15"));
	assert_false(has(l, "10.0.1.16"));
	assert_true(has(l, "10.0.1.20"));
	assert_true(has(l, "10.0.2.7"));
	assert_true(has(l, "10.0.3.9"));
	assert_false(has(l, "10.0.3.8"));
	addr_list_free(l);
}

static void test_several_lines_make_one_list(void **state)
{
	static const char *const lines[] = { "10.0.0.9", "10.0.0.1/31",
		"10.0.0.[1-3]", "localhost" };
	struct addr_list *l = NULL;
	char err[200];

	(void)state;
	assert_int_equal(
	    addr_list_parse(lines, ARRAY_LEN(lines), &l, err, sizeof(err)), 0);
	assert_true(has(l, "10.0.0.0"));
	assert_true(has(l, "10.0.0.3"));
	assert_true(has(l, "10.0.0.9"));
	assert_false(has(l, "10.0.0.4"));
	assert_true(has(l, "127.0.0.1") || has(l, "::1"));
	addr_list_free(l);
}

static void test_unknown_name_is_a_warning_and_lets_nobody_in(void **state)
{
	struct addr_list *l = list_of("no-such-host.invalid");

	(void)state;
	assert_false(has(l, "127.0.0.1"));
	addr_list_free(l);
}

static void test_bad_items_are_refused_with_their_text(void **state)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/",
		"10.0.0.0/x", "x/8", "::/129", "10.0.0.[5-2]", "10.0.0.[1-",
		"10.0.0.[]", "10.0.0.[a-b]", "10.0.0.[1-9,]", "10.0.0.300",
		"1.2.3", "a b", "10.[0-255].[0-255].[0-255]",
		"[1][1][1][1][1].x" };
	struct addr_list *l = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char err[300] = "";

		assert_int_equal(
		    addr_list_parse(&bad[i], 1, &l, err, sizeof(err)), -EINVAL);
		assert_true(strlen(err) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_read_in_every_form),
		cmocka_unit_test(test_nonsense_is_no_address),
		cmocka_unit_test(test_names_are_looked_up),
		cmocka_unit_test(
		    test_ip_parse_leaves_the_port_and_needs_the_whole_text),
		cmocka_unit_test(test_longest_address_fits_its_buffer),
		cmocka_unit_test(test_equality_is_by_address_and_by_port),
		cmocka_unit_test(test_classes_end_where_the_networks_end),
		cmocka_unit_test(test_own_addresses_have_loopback_among_them),
		cmocka_unit_test(test_empty_list_and_star_let_everyone_in),
		cmocka_unit_test(
		    test_single_addresses_and_networks_match_exactly),
		cmocka_unit_test(
		    test_peer_on_a_dual_stack_socket_matches_its_v4_entry),
		cmocka_unit_test(test_ranges_in_brackets_are_expanded),
		cmocka_unit_test(test_several_lines_make_one_list),
		cmocka_unit_test(
		    test_unknown_name_is_a_warning_and_lets_nobody_in),
		cmocka_unit_test(test_bad_items_are_refused_with_their_text),
	};

	log_to_stderr(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
