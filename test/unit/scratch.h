/* SPDX-License-Identifier: MIT */
/*
 * A directory of its own for each test: cmocka set-up and tear-down whose
 * state is the path, and a few helpers to make and read files in it.
 */
#ifndef TEST_UNIT_SCRATCH_H
#define TEST_UNIT_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"

#define scratch_test(f) \
	cmocka_unit_test_setup_teardown(f, scratch_new, scratch_free)

static ATTR_UNUSED int scratch_new(void **state)
{
	char *dir = strdup("/tmp/fdfs-unit-XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

static int scratch_remove(const char *path, const struct stat *st, int type,
    struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static ATTR_UNUSED int scratch_free(void **state)
{
	const int rc = nftw(*state, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return rc;
}

/* The path of a name in the directory; good until the second next call. */
static ATTR_UNUSED const char *scratch_path(void **state, const char *name)
{
	static char bufs[2][512];
	static unsigned turn;
	char *buf = bufs[turn++ % 2];

	snprintf(buf, sizeof(bufs[0]), "%s/%s", (const char *)*state, name);
	return buf;
}

static ATTR_UNUSED const char *scratch_write(void **state, const char *name,
    const char *text)
{
	const char *path = scratch_path(state, name);
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	return path;
}

/* The whole file; the caller frees it. */
static ATTR_UNUSED char *scratch_read(void **state, const char *name)
{
	char *text = NULL;

	if (fs_read_file(scratch_path(state, name), 1 << 20, &text) < 0)
		return strdup("");
	return text;
}

#endif
