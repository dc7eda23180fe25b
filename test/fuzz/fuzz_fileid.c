/* SPDX-License-Identifier: MIT */
/*
 * The input is a name, a file id and, in its first bytes, a record: what is
 * parsed can be made again, and no name leads out of its directory.
 */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "proto/fileid.h"
#include "test/fuzz/fuzz.h"

#define TAIL 7

static void check_record(const uint8_t *data, size_t n)
{
	struct fileid in;
	struct fileid out;
	char text[FILEID_RECORD_LEN];

	if (n < 20)
		return;
	memcpy(&in.source, data, 4);
	memcpy(&in.time, data + 4, 4);
	memcpy(&in.size_field, data + 8, 8);
	memcpy(&in.crc, data + 16, 4);
	fileid_encode(&in, text);
	promise(fileid_decode(text, &out) == 0, "an encoded record decodes");
	promise(in.source == out.source && in.time == out.time &&
	            in.size_field == out.size_field && in.crc == out.crc,
	    "to the same values");
}

static unsigned hex(const char *p)
{
	return (unsigned)strtoul((const char[]){ p[0], p[1], 0 }, NULL, 16);
}

/* A name of 44 characters with a plain tail is made again from its parts. */
static void check_make(struct span name, const struct fileid_name *n)
{
	const char *tail = n->file.p + FILEID_RECORD_LEN;
	const struct fileid_place place = { n->path, hex(n->rest.p),
		hex(n->rest.p + 3) };
	char digits[TAIL + 1] = "";
	char record[FILEID_RECORD_LEN];
	char out[FILEID_NAME_LEN + 1];
	size_t n_digits = 0;
	struct span ext = { "", 0 };

	if (!n->has_record || name.n != FILEID_NAME_LEN ||
	    n->file.n != FILEID_RECORD_LEN + TAIL)
		return;
	while (
	    n_digits < TAIL && tail[n_digits] >= '0' && tail[n_digits] <= '9')
		n_digits++;
	memcpy(digits, tail, n_digits);
	if (n_digits < TAIL) {
		ext = (struct span){ tail + n_digits + 1, TAIL - n_digits - 1 };
		if (tail[n_digits] != '.' || ext.n == 0)
			return;
	}
	fileid_make(&n->id, place, ext, (uint32_t)strtoul(digits, NULL, 10),
	    out);
	fileid_encode(&n->id, record);
	promise(strlen(out) == FILEID_NAME_LEN,
	    "a made name has 44 characters");
	promise(memcmp(record, n->file.p, FILEID_RECORD_LEN - 1) == 0,
	    "a decoded record encodes to the same text");
	promise(memcmp(out + 4, name.p + 4, 6) == 0 &&
	            memcmp(out + FILEID_NAME_LEN - TAIL, tail, TAIL) == 0,
	    "a made name has the parts it was made of");
}

static void check_path(const struct fileid_name *n)
{
	char path[FILEID_DISK_MAX];
	size_t slashes = 0;

	if (fileid_disk_path(n, "-m", path, sizeof(path)) < 0)
		return;
	promise(strlen(path) == n->rest.n + 2, "a path is the name and -m");
	for (const char *p = path; *p; p++)
		slashes += *p == '/';
	promise(slashes == 2 && path[2] == '/' && path[5] == '/',
	    "a path is two directories deep");
	promise(path[0] != '.' && path[3] != '.', "and does not climb");
	promise(strcmp(path + 6, ".-m") != 0 && strcmp(path + 6, "..-m") != 0,
	    "nor names a directory");
}

static void check_remake(struct span name, const struct fileid_name *n)
{
	char out[FILEID_NAME_LEN + 1];
	struct fileid_name again;

	if (n->file.n < TAIL || !n->has_record)
		return;
	fileid_remake(name, &n->id, out);
	promise(fileid_parse(span_of(out), &again) == 0,
	    "a regenerated name is a good one");
	promise(again.path == n->path && again.id.crc == n->id.crc &&
	            memcmp(again.rest.p, n->rest.p, 6) == 0,
	    "in the same place");
}

static void check_slave(struct span name, const uint8_t *data, size_t n)
{
	const struct span prefix = { (const char *)data,
		size_min(n, n ? data[0] & 15 : 0) };
	char out[FILE_NAME_MAX + 1];
	struct fileid_name slave;
	const int rc =
	    fileid_slave_name(name, prefix, span_of("txt"), out, sizeof(out));

	if (rc < 0)
		return;
	promise((size_t)rc == strlen(out) && rc <= FILE_NAME_MAX,
	    "a slave name has the length it says");
	promise(fileid_parse(span_of(out), &slave) == 0,
	    "a slave name is a good one");
	promise(span_eq(fileid_ext(span_of(out)), "txt"),
	    "and has its extension");
}

static void check_split(const uint8_t *data, size_t n)
{
	char *text = strndup((const char *)data, n);
	struct fileid_name name;
	struct span group;
	struct span rest;
	size_t at = 0;

	promise(text != NULL, "there is memory");
	if (fileid_split(text, &group, &rest, &at) == 0) {
		promise(fileid_group_ok(group), "the group is a good one");
		promise(fileid_parse(rest, &name) == 0, "so is the name");
		promise(group.p + group.n + 1 == rest.p, "with one / between");
	} else {
		promise(at <= strlen(text), "the fault is in the text");
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct span name = { (const char *)data, n };
	struct trunk_slot slot;
	struct fileid_name parsed;
	const int rc = fileid_parse(name, &parsed);

	check_record(data, n);
	check_split(data, n);
	if (rc < 0) {
		promise(fileid_trunk_slot(name, &slot) == -EINVAL,
		    "a bad name has no slot");
		return 0;
	}
	promise(parsed.rest.p + parsed.rest.n == name.p + n &&
	            parsed.file.p + parsed.file.n == name.p + n,
	    "the parts end with the name");
	promise(parsed.path <= 255, "a store path fits a byte");
	if (parsed.type == FILE_TRUNK)
		(void)fileid_trunk_slot(name, &slot);
	check_make(name, &parsed);
	check_path(&parsed);
	check_remake(name, &parsed);
	check_slave(name, data + n - size_min(n, 20), size_min(n, 20));
	return 0;
}
