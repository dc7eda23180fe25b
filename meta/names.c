/* SPDX-License-Identifier: MIT */
#include "meta/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/fileid.h"

static void read_source(uint32_t source, char *out, size_t cap)
{
	if (fileid_source_is_id(source))
		snprintf(out, cap, "%u", source);
	else if (source != 0)
		snprintf(out, cap, "%u.%u.%u.%u", source & 255,
		    source >> 8 & 255, source >> 16 & 255, source >> 24);
}

static void read_ext(struct span name, char *out, size_t cap)
{
	struct span ext = fileid_ext(name);

	(void)str_copy_span(out, cap, ext);
	for (char *c = out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

int names_read(struct span name, struct name_facts *out)
{
	struct fileid_name fn;
	int rc = fileid_parse(name, &fn);

	if (rc < 0)
		return rc;
	memset(out, 0, sizeof(*out));
	out->path = fn.path;
	memcpy(out->dir, fn.rest.p, 5);
	read_ext(name, out->ext, sizeof(out->ext));
	if (!fn.has_record)
		return 0;
	out->type = (int)fn.type;
	out->created = fn.id.time;
	read_source(fn.id.source, out->source, sizeof(out->source));
	if (fn.type == FILE_NORMAL || fn.type == FILE_TRUNK)
		out->size = fileid_size(&fn.id);
	if (fn.type != FILE_SLAVE)
		out->crc = fn.id.crc;
	return 0;
}
