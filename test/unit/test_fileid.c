/* SPDX-License-Identifier: MIT */
/* LAYERS: proto base */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/fileid.h"

/* client-protocol 5.8 */
static const struct worked {
	const char *name;
	uint32_t source, time;
	uint64_t size_field;
	uint32_t crc;
	enum file_type type;
	uint64_t size;
	const char *ext;
} worked[] = {
	{ "M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt", 0x0b014d0a,
	    1795331415, 0x8000d57200000012, 0x9f679f98, FILE_NORMAL, 18,
	    "txt" },
	{ "M00/00/00/Ck0BC2sCjlmAeWSMAAAAAYzcFoM8938109", 0x0b014d0a,
	    0x6b028e59, 0x8079648c00000001, 0x8cdc1683, FILE_NORMAL, 1, "" },
	{ "M00/00/01/Ck0BC2sCjlmAMvN-AAAAAAAAAAA780.bin", 0x0b014d0a,
	    0x6b028e59, 0x8032f37e00000000, 0, FILE_NORMAL, 0, "bin" },
	{ "M00/00/01/Ck0BC2sCjlqAW2Y5AAAAAWLSd68.tar.gz", 0x0b014d0a,
	    0x6b028e5a, 0x805b663900000001, 0x62d277af, FILE_NORMAL, 1, "gz" },
	{ "M00/00/02/Ck0BC2sCjniEerbLAAAAAGgTEBY389.txt", 0x0b014d0a,
	    0x6b028e78, 0x847ab6cb00000000, 0x68131016, FILE_APPENDER, 0,
	    "txt" },
	{ "M00/00/02/Ck0BC2sCjnmAMaG1AAAAIrX2Iyw389.txt", 0x0b014d0a,
	    0x6b028e79, 0x8031a1b500000022, 0xb5f6232c, FILE_NORMAL, 34,
	    "txt" },
	{ "M00/02/00/Ck0BC2sCko-ACAomAASwAE7bHRk648.bin", 0x0b014d0a,
	    0x6b02928f, 0x80080a260004b000, 0x4edb1d19, FILE_NORMAL, 307200,
	    "bin" },
	{ "M00/03/02/Ck0BC2sCnGgAAAABAAAABYFXXDk253.bin", 0x0b014d0a,
	    0x6b029c68, 0x0000000100000005, 0x81575c39, FILE_NORMAL, 4294967301,
	    "bin" },
	{ "M00/00/00/o4YBAGsCk2GACQUWAAAADg4Qul0875.txt", 100003, 0x6b029361,
	    0x800905160000000e, 0x0e10ba5d, FILE_NORMAL, 14, "txt" },
	{ "M00/00/00/ooYBAGsCk2GEByAIAAAAAGgTEBY379.txt", 100002, 0x6b029361,
	    0x8407200800000000, 0x68131016, FILE_APPENDER, 0, "txt" },
	{ "M00/00/00/"
	  "Ck0BC2sClFeIStQwAAAADg4Qul0AAAAAQAAAQAAAAEA620.txt",
	    0x0b014d0a, 0x6b029457, 0x884ad4300000000e, 0x0e10ba5d, FILE_TRUNK,
	    14, "txt" },
	{ "M00/00/00/"
	  "Ck0BC2sClFeIX7S4AAAAAYzcFoMAAAAAQAAAgAAAAEA8234521",
	    0x0b014d0a, 0x6b029457, 0x885fb4b800000001, 0x8cdc1683, FILE_TRUNK,
	    1, "" },
};

static void test_worked_examples_decode_and_encode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(worked); i++) {
		const struct worked *w = &worked[i];
		const struct span name = span_of(w->name);
		char text[FILEID_RECORD_LEN];
		struct fileid_name n;

		assert_int_equal(fileid_parse(name, &n), 0);
		assert_true(n.has_record);
		assert_int_equal(n.path, 0);
		assert_int_equal(n.id.source, w->source);
		assert_int_equal(n.id.time, w->time);
		assert_true(n.id.size_field == w->size_field);
		assert_int_equal(n.id.crc, w->crc);
		assert_int_equal(n.type, w->type);
		assert_true(fileid_size(&n.id) == w->size);
		assert_true(span_eq(fileid_ext(name), w->ext));
		fileid_encode(&n.id, text);
		assert_memory_equal(text, n.file.p, FILEID_RECORD_LEN);
	}
}

static void test_a_made_name_is_the_worked_example(void **state)
{
	const struct fileid f = { 0x0b014d0a, 0x6b029557, 0x8000d57200000012,
		0x9f679f98 };
	const struct fileid_place place = { 0, 2, 3 };
	char name[FILEID_NAME_LEN + 1];

	(void)state;
	fileid_make(&f, place, span_of("txt"), 136, name);
	assert_string_equal(name,
	    "M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt");
	fileid_make(&f, place, span_of(""), 8938109, name);
	assert_string_equal(name,
	    "M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g8938109");
	fileid_make(&f, (struct fileid_place){ 255, 10, 200 },
	    span_of("tar.gz"), 5, name);
	assert_string_equal(name,
	    "MFF/0A/C8/Ck0BC2sClVeAANVyAAAAEp9nn5g.tar.gz");
	fileid_make(&f, place, span_of("c"), 4294967295U, name);
	assert_string_equal(name + 37, "67295.c");
}

static void test_source_is_an_id_below_two_to_24_else_an_address(void **state)
{
	(void)state;
	assert_true(fileid_source_is_id(1));
	assert_true(fileid_source_is_id(0xffffff));
	assert_false(fileid_source_is_id(0));
	assert_false(fileid_source_is_id(0x1000000));
	assert_int_equal(
	    fileid_source_of_ip((const uint8_t[]){ 10, 77, 1, 11 }),
	    0x0b014d0a);
}

static void test_size_fields_of_new_files(void **state)
{
	(void)state;
	assert_true(
	    fileid_size_field(0x12, false, 0xd572) == 0x8000d57200000012);
	assert_true(
	    fileid_size_field(5, false, UINT32_MAX) == 0x807fffff00000005);
	assert_true(
	    fileid_size_field(0xffffffff, false, 0) == 0x80000000ffffffff);
	assert_true(fileid_size_field(0x100000000, false, 99) == 0x100000000);
	assert_true(
	    fileid_size_field(20, true, 0x7ab6cb) == 0x847ab6cb00000000);
}

static void test_decode_takes_only_the_alphabet(void **state)
{
	struct fileid f;

	(void)state;
	assert_int_equal(fileid_decode("Ck0BC2sClVeAANVyAAAAEp9nn5g", &f), 0);
	assert_int_equal(fileid_decode("Ck0BC2sClVeAANVyAAAAEp9nn5.", &f),
	    -EINVAL);
	assert_int_equal(fileid_decode("Ck0BC2sClVe+ANVyAAAAEp9nn5g", &f),
	    -EINVAL);
	assert_int_equal(fileid_decode("Ck0BC2sClVe\0ANVyAAAAEp9nn5g", &f),
	    -EINVAL);
}

static void test_names_against_the_rules_are_refused(void **state)
{
	static const char *const bad[] = { "", "M", "M00", "M00/", "M00/00",
		"M00/00/00", "M00/00/00/", "MG0/00/00/x", "M0/00/00/x",
		"m00/00/00/x", "M00/0a/00/x", "M00/00/0g/x", "M00/00/00/a/b",
		"M00/00/00/..", "M00/00/00/.", "M00/00/../x", "../../x",
		"M00/00/00/a\nb", "M00/00/00/a\x7f", "/00/00/x", "00/00",
		"M00//00/00/x", "M00/00/00//x", "group1/M00/00/00/x" };
	struct fileid_name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(fileid_parse(span_of(bad[i]), &n), -EINVAL);
	assert_int_equal(
	    fileid_parse((struct span){ "M00/00/00/a\0b", 13 }, &n), -EINVAL);
}

static void test_names_by_the_rules_are_cut_up(void **state)
{
	struct fileid_name n;

	(void)state;
	assert_int_equal(fileid_parse(span_of("M0a/0F/A0/x"), &n), 0);
	assert_int_equal(n.path, 10);
	assert_true(span_eq(n.rest, "0F/A0/x"));
	assert_true(span_eq(n.file, "x"));
	assert_false(n.has_record);
	assert_int_equal(fileid_parse(span_of("MfF/00/00/..."), &n), 0);
	assert_int_equal(n.path, 255);
	assert_int_equal(fileid_parse(span_of("01/02/\xc3\xa4 b"), &n), 0);
	assert_int_equal(n.path, 0);
	assert_true(span_eq(n.rest, "01/02/\xc3\xa4 b"));
}

static void test_a_disk_path_has_the_suffix_and_fits(void **state)
{
	char path[16];
	struct fileid_name n;

	(void)state;
	assert_int_equal(fileid_parse(span_of("M01/02/03/name"), &n), 0);
	assert_int_equal(fileid_disk_path(&n, "-m", path, sizeof(path)), 0);
	assert_string_equal(path, "02/03/name-m");
	assert_int_equal(fileid_disk_path(&n, "", path, 11), 0);
	assert_int_equal(fileid_disk_path(&n, "", path, 10), -ENAMETOOLONG);
}

static void slave_is(const char *master, const char *prefix, const char *ext,
    const char *want)
{
	char out[FILE_NAME_MAX + 1];
	const int n = fileid_slave_name(span_of(master), span_of(prefix),
	    span_of(ext), out, sizeof(out));

	assert_int_equal(n, strlen(want));
	assert_string_equal(out, want);
}

static void test_slave_names_replace_the_extension_of_the_master(void **state)
{
	(void)state;
	slave_is("M00/00/00/Ck0BC2sCjlmADTSwAAAADg4Qul0296.txt", "1024x1024",
	    "txt", "M00/00/00/Ck0BC2sCjlmADTSwAAAADg4Qul02961024x1024.txt");
	slave_is("M00/00/00/x374.txt", "_big", "jpg", "M00/00/00/x374_big.jpg");
	slave_is("M00/00/00/x374_big.jpg", "_2", "png",
	    "M00/00/00/x374_big_2.png");
	slave_is("M00/00/00/x374.txt", "_noext", "", "M00/00/00/x374_noext");
	slave_is("M00/00/00/Ck0B8938109", "_a", "b",
	    "M00/00/00/Ck0B8938109_a.b");
	slave_is("M00/00/01/W2Y5AAAAAWLSd68.tar.gz", "_s", "txt",
	    "M00/00/01/W2Y5AAAAAWLSd68_s.txt");
}

static int slave_rc(const char *prefix, const char *ext, size_t cap)
{
	char out[FILE_NAME_MAX + 1];

	return fileid_slave_name(span_of("M00/00/00/x374.txt"), span_of(prefix),
	    span_of(ext), out, cap);
}

static void test_wrong_slave_prefixes_are_refused(void **state)
{
	(void)state;
	assert_int_equal(slave_rc("", "txt", 128), -EINVAL);
	assert_int_equal(slave_rc("-m", "", 128), -EINVAL);
	assert_true(slave_rc("-m", "txt", 128) > 0);
	assert_int_equal(slave_rc("a/b", "txt", 128), -EINVAL);
	assert_int_equal(slave_rc("a", "t t", 128), -EINVAL);
	assert_int_equal(slave_rc("12345678901234567", "", 128), -EINVAL);
	assert_int_equal(slave_rc("a", "1234567", 128), -EINVAL);
	assert_int_equal(slave_rc("_a", "b", 10), -ENAMETOOLONG);
}

static void test_slaves_are_told_by_length(void **state)
{
	const struct fileid plain = { .size_field = FILEID_SMALL };
	const struct fileid trunk = { .size_field =
		                          FILEID_SMALL | FILEID_TRUNK };

	(void)state;
	assert_false(fileid_is_slave(44, &plain));
	assert_true(fileid_is_slave(45, &plain));
	assert_false(fileid_is_slave(60, &trunk));
	assert_true(fileid_is_slave(61, &trunk));
}

static void test_a_regenerated_name_keeps_place_and_tail(void **state)
{
	const struct fileid f = { 0x0b014d0a, 0x6b028e79, 0x8031a1b500000022,
		0xb5f6232c };
	char name[FILEID_NAME_LEN + 1];

	(void)state;
	fileid_remake(span_of("M00/00/02/Ck0BC2sCjniEerbLAAAAAGgTEBY389.txt"),
	    &f, name);
	assert_string_equal(name,
	    "M00/00/02/Ck0BC2sCjnmAMaG1AAAAIrX2Iyw389.txt");
	fileid_remake(span_of("M0a/0F/02/Ck0BC2sCjniEerbLAAAAAGgTEBY389.txt"),
	    &f, name);
	assert_string_equal(name,
	    "M0A/0F/02/Ck0BC2sCjnmAMaG1AAAAIrX2Iyw389.txt");
}

static void test_trunk_names_tell_their_slot(void **state)
{
	struct trunk_slot slot;

	(void)state;
	assert_int_equal(fileid_trunk_slot(span_of(worked[10].name), &slot), 0);
	assert_int_equal(slot.file, 1);
	assert_int_equal(slot.offset, 256);
	assert_int_equal(slot.size, 256);
	assert_int_equal(fileid_trunk_slot(span_of(worked[11].name), &slot), 0);
	assert_int_equal(slot.offset, 512);
	assert_int_equal(fileid_trunk_slot(span_of(worked[0].name), &slot),
	    -EINVAL);
}

static void split_is(const char *text, const char *group, const char *name)
{
	struct span g;
	struct span n;
	size_t at;

	assert_int_equal(fileid_split(text, &g, &n, &at), 0);
	assert_true(span_eq(g, group));
	assert_true(span_eq(n, name));
}

static void test_file_ids_and_urls_split_at_the_group(void **state)
{
	(void)state;
	split_is("group1/M00/00/00/x.txt", "group1", "M00/00/00/x.txt");
	split_is("g/00/00/x", "g", "00/00/x");
	split_is("http://h:8080/group1/M00/00/00/x.txt", "group1",
	    "M00/00/00/x.txt");
	split_is("https://h/some/where/g2/M0A/00/00/x?token=a/b&ts=1", "g2",
	    "M0A/00/00/x");
}

static void split_fails_at(const char *text, size_t want)
{
	struct span g;
	struct span n;
	size_t at = SIZE_MAX;

	assert_int_equal(fileid_split(text, &g, &n, &at), -EINVAL);
	assert_int_equal(at, want);
}

static void test_a_wrong_file_id_is_shown_where_it_goes_wrong(void **state)
{
	(void)state;
	split_fails_at("", 0);
	split_fails_at("group1", 6);
	split_fails_at("gro-up/M00/00/00/x", 3);
	split_fails_at("12345678901234567/M00/00/00/x", 16);
	split_fails_at("group1/M0x/00/00/x", 9);
	split_fails_at("group1/M00/00/0a/x", 15);
	split_fails_at("group1/M00/00/00/", 17);
	split_fails_at("group1/M00/00/00/a/b", 18);
	split_fails_at("group1/M00/00/00/..", 17);
	split_fails_at("http://host", 11);
	split_fails_at("/M00/00/00/x", 0);
}

static void test_extensions_and_groups_are_checked(void **state)
{
	(void)state;
	assert_true(fileid_ext_ok(span_of("")));
	assert_true(fileid_ext_ok(span_of("a.b-_9")));
	assert_false(fileid_ext_ok(span_of("1234567")));
	assert_false(fileid_ext_ok(span_of("a/b")));
	assert_true(fileid_group_ok(span_of("abcdefghijklmnop")));
	assert_false(fileid_group_ok(span_of("abcdefghijklmnopq")));
	assert_false(fileid_group_ok(span_of("")));
	assert_false(fileid_group_ok(span_of("a b")));
}

static void test_metadata_belong_to_their_file(void **state)
{
	const struct span side = span_of("M00/00/00/name.txt-m");

	(void)state;
	assert_true(fileid_is_side(side));
	assert_true(span_eq(fileid_owner(side), "M00/00/00/name.txt"));
	assert_false(fileid_is_side(span_of("M00/00/00/name.txt")));
	assert_true(
	    span_eq(fileid_owner(span_of("M00/00/00/a-n")), "M00/00/00/a-n"));
	assert_false(fileid_is_side(span_of("-m")));
	assert_false(fileid_is_side(span_of("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_examples_decode_and_encode),
		cmocka_unit_test(test_a_made_name_is_the_worked_example),
		cmocka_unit_test(
		    test_source_is_an_id_below_two_to_24_else_an_address),
		cmocka_unit_test(test_size_fields_of_new_files),
		cmocka_unit_test(test_decode_takes_only_the_alphabet),
		cmocka_unit_test(test_names_against_the_rules_are_refused),
		cmocka_unit_test(test_names_by_the_rules_are_cut_up),
		cmocka_unit_test(test_a_disk_path_has_the_suffix_and_fits),
		cmocka_unit_test(
		    test_slave_names_replace_the_extension_of_the_master),
		cmocka_unit_test(test_wrong_slave_prefixes_are_refused),
		cmocka_unit_test(test_slaves_are_told_by_length),
		cmocka_unit_test(test_a_regenerated_name_keeps_place_and_tail),
		cmocka_unit_test(test_trunk_names_tell_their_slot),
		cmocka_unit_test(test_file_ids_and_urls_split_at_the_group),
		cmocka_unit_test(
		    test_a_wrong_file_id_is_shown_where_it_goes_wrong),
		cmocka_unit_test(test_extensions_and_groups_are_checked),
		cmocka_unit_test(test_metadata_belong_to_their_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
