/* SPDX-License-Identifier: MIT */
/*
 * What the tests of configuration files share: a directory a test, whose file
 * "log" collects the warnings.
 */
#ifndef TEST_UNIT_CONF_TEST_H
#define TEST_UNIT_CONF_TEST_H

#include "base/conf.h"
#include "base/log.h"
#include "test/unit/scratch.h"

static char err[512];

static ATTR_UNUSED int set_up(void **state)
{
	if (scratch_new(state) < 0)
		return -1;
	err[0] = '\0';
	return log_open(scratch_path(state, "log"));
}

static ATTR_UNUSED int tear_down(void **state)
{
	log_close();
	return scratch_free(state);
}

/* Does the log hold the text? */
static ATTR_UNUSED bool warned(void **state, const char *text)
{
	char *log = scratch_read(state, "log");
	const bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

static ATTR_UNUSED int read_text(void **state, const char *text,
    struct conf_file **out)
{
	return conf_read(scratch_write(state, "x.conf", text), out, err,
	    sizeof(err));
}

static ATTR_UNUSED struct conf_file *good(void **state, const char *text)
{
	struct conf_file *cf = NULL;

	assert_int_equal(read_text(state, text, &cf), 0);
	return cf;
}

static ATTR_UNUSED void value_is(struct conf_file *cf, const char *section,
    const char *name, const char *value)
{
	const char *got = conf_get(cf, section, name);

	if (!value) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, value);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
