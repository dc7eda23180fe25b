/* SPDX-License-Identifier: MIT */
/*
 * Names for the tests of meta/, which knows no file ids: "M00/HH/LL/" then the
 * type's letter (n a s), size, '-', created seconds, '-', any, [.ext].
 */
#ifndef TEST_META_NAMES_H
#define TEST_META_NAMES_H

#include <stdio.h>
#include <string.h>

#include "meta/catalogue.h"

static inline int test_read_name(struct span name, struct name_facts *out)
{
	char text[128];
	char type = 0;
	unsigned high = 0;
	unsigned low = 0;
	unsigned long long size = 0;
	long long created = 0;
	const char *dot;

	if (!str_copy_span(text, sizeof(text), name) ||
	    sscanf(text, "M%2X/%2X/%2X/%c%llu-%lld", &out->path, &high, &low,
	        &type, &size, &created) != 6 ||
	    !strchr("nas", type))
		return -22;
	out->type = type == 'n' ? 0 : type == 'a' ? 1 : 2;
	out->size = type == 'n' ? size : 0;
	out->crc = type == 'n' ? 0x11223344 : 0;
	out->created = created;
	str_copy(out->source, sizeof(out->source), "100001");
	dot = strrchr(text, '.');
	str_copy(out->ext, sizeof(out->ext), dot ? dot + 1 : "");
	snprintf(out->dir, sizeof(out->dir), "%02X/%02X", high & 0xff,
	    low & 0xff);
	return 0;
}

#endif
