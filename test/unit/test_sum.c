/* SPDX-License-Identifier: MIT */
/* LAYERS: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sum.h"

static void test_crc32_is_that_of_zlib(void **state)
{
	(void)state;
	assert_int_equal(sum_crc32(0, "hello fastdfs\n", 14), 0x0E10BA5D);
	assert_int_equal(sum_crc32(0, "123456789", 9), 0xCBF43926);
	assert_int_equal(sum_crc32(0, "", 0), 0);
}

static void test_crc32_goes_on_where_it_stopped(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= 9; cut++) {
		const uint32_t crc = sum_crc32(0, "123456789", cut);

		assert_int_equal(sum_crc32(crc, &"123456789"[cut], 9 - cut),
		    0xCBF43926);
	}
}

static void test_md5_is_lower_case_hex(void **state)
{
	char out[33];

	(void)state;
	sum_md5_hex("", 0, out);
	assert_string_equal(out, "d41d8cd98f00b204e9800998ecf8427e");
	sum_md5_hex("abc", 3, out);
	assert_string_equal(out, "900150983cd24fb0d6963f7d28e17f72");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32_is_that_of_zlib),
		cmocka_unit_test(test_crc32_goes_on_where_it_stopped),
		cmocka_unit_test(test_md5_is_lower_case_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
