/* SPDX-License-Identifier: MIT */
/* LAYERS: storaged net meta proto base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "proto/fileid.h"
#include "storaged/gone.h"

#define NORMAL "M00/00/00/fwIDZWsClr2AUt4cAAAAFvJ-ZBQ563.txt"
#define OTHER  "M00/00/00/fwIDZWsClr2AUt4cAAAAFvJ-ZBQ564.txt"
#define SLAVE  "M00/00/00/fwIDZWsClr2AUt4cAAAAFvJ-ZBQ563_small.txt"

static void test_a_name_is_kept_until_it_is_forgotten(void **state)
{
	(void)state;
	assert_false(gone_for(NORMAL, "a"));
	gone_note(NORMAL, GONE_OWN);
	gone_note(NORMAL, GONE_OWN);
	assert_true(gone_for(NORMAL, "a"));
	assert_false(gone_for(OTHER, "a"));
	gone_forget(NORMAL);
	assert_false(gone_for(NORMAL, "a"));
}

static void test_slaves_and_other_names_may_come_again(void **state)
{
	(void)state;
	gone_note(SLAVE, GONE_OWN);
	assert_false(gone_for(SLAVE, "a"));
	gone_note("M00/00/00/x.txt", GONE_OWN);
	assert_false(gone_for("M00/00/00/x.txt", "a"));
}

static void test_who_deleted_it_may_send_it_again(void **state)
{
	(void)state;
	gone_note(OTHER, "a");
	assert_false(gone_for(OTHER, "a"));
	assert_true(gone_for(OTHER, "b"));
	gone_note(OTHER, GONE_OWN);
	assert_true(gone_for(OTHER, "a"));
}

/* NORMAL in another place. */
static void name_of(char *out, size_t cap, unsigned i)
{
	snprintf(out, cap, "M00/%02X/%02X/fwIDZWsClr2AUt4cAAAAFvJ-ZBQ563.txt",
	    i >> 8 & 255, i & 255);
}

static void test_the_oldest_make_room(void **state)
{
	char name[64];
	unsigned kept = 0;

	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		name_of(name, sizeof(name), i);
		gone_note(name, GONE_OWN);
		assert_true(gone_for(name, "a"));
	}
	for (unsigned i = 0; i < 65536; i++) {
		name_of(name, sizeof(name), i);
		kept += gone_for(name, "a");
	}
	assert_in_range(kept, 40000, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_kept_until_it_is_forgotten),
		cmocka_unit_test(test_slaves_and_other_names_may_come_again),
		cmocka_unit_test(test_who_deleted_it_may_send_it_again),
		cmocka_unit_test(test_the_oldest_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
