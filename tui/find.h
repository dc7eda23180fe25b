/* SPDX-License-Identifier: MIT */
/*
 * The words of the Files view as conditions of a query. Pure, any thread.
 *
 *	word		the original name contains it (one only)
 *	name=GLOB	original name
 *	ext=a,b ext!=a	extension
 *	size>10M size<4k size>=N size<=N size=a..b
 *	age<7d age>1h	since the upload
 *	type=appender	normal, appender, slave, trunk, link
 *	source=ID client=ADDR path=M00 dir=C4/07 id=group1/M00/0A (a prefix)
 *	crc=HEX
 *	meta.KEY meta.KEY=GLOB meta.KEY>N !meta.KEY
 *	deleted
 */
#ifndef TUI_FIND_H
#define TUI_FIND_H

#include "meta/query.h"

#define FIND_LIST 16

/* The filter's lists and texts point into this struct. */
struct find {
	struct file_filter filter;
	char text[512];
	const char *exts[FIND_LIST];
	const char *sources[FIND_LIST];
	const char *clients[FIND_LIST];
	unsigned paths[FIND_LIST];
	struct meta_condition meta[FIND_LIST];
};

/* now: for ages. 0, or -EINVAL with a sentence in err. */
int find_parse(const char *text, wall_t now, struct find *out, char *err,
    size_t cap);

/* Is the text one file id, or a URL that ends in one? */
bool find_is_id(const char *text, struct span *group, struct span *name);

#endif
