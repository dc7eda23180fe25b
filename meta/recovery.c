/* SPDX-License-Identifier: MIT */
#include "meta/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meta/db_impl.h"

/* The word behind " key=", "" if there is none. */
static void word_of(const char *text, const char *key, char *out, size_t cap)
{
	const size_t n = strlen(key);

	out[0] = '\0';
	for (const char *at = text; (at = strstr(at, key)); at += n) {
		const char *value = at + n;

		if (at != text && at[-1] != ' ')
			continue;
		(void)str_copy_span(out, cap,
		    (struct span){ value, strcspn(value, " ") });
		return;
	}
}

static bool number(const char *text, uint64_t *out)
{
	int64_t n;

	if (str_to_i64(text, &n) < 0 || n < 0)
		return false;
	*out = (uint64_t)n;
	return true;
}

static int parse(const char *text, struct recovery *out)
{
	char state[16];
	char path[8];
	char lines[48];
	char *all;
	uint64_t index;

	word_of(text, "state=", state, sizeof(state));
	if (strcmp(state, "done") == 0)
		return 0;
	word_of(text, "path=", path, sizeof(path));
	word_of(text, "lines=", lines, sizeof(lines));
	word_of(text, "from=", out->from, sizeof(out->from));
	all = strchr(lines, '/');
	if (strcmp(state, "running") != 0 || !all || !number(path, &index) ||
	    index > 255)
		return -EBADMSG;
	*all++ = '\0';
	out->path = (unsigned)index;
	return number(lines, &out->done) && number(all, &out->all) ? 1
	                                                           : -EBADMSG;
}

int recovery_read(struct db *log, struct recovery *out)
{
	char text[256];
	struct pair owner;
	int rc = db_mark_get(log, RECOVERY_MARK, text, sizeof(text));

	memset(out, 0, sizeof(*out));
	if (rc != 0)
		return rc == -ENOENT || rc > 0 ? 0 : rc;
	rc = parse(text, out);
	if (rc != 1)
		return rc;
	memset(&owner, 0, sizeof(owner));
	pairs_owner(log, &owner);
	str_copy(out->group, sizeof(out->group), owner.group);
	str_copy(out->id, sizeof(out->id), owner.from);
	return 1;
}

/* With a comma before every three digits. */
static void grouped(uint64_t n, char *out, size_t cap)
{
	char digits[24];
	const int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t at = 0;

	for (int i = 0; i < len && at + 2 < cap; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

const char *recovery_text(const struct recovery *r, char *buf, size_t cap)
{
	char done[32];
	char all[32];
	const uint64_t share =
	    r->all == 0 ? 0
	                : (uint64_t)((double)r->done * 100 / (double)r->all);

	grouped(r->done, done, sizeof(done));
	grouped(r->all, all, sizeof(all));
	snprintf(buf, cap,
	    "%s M%02X recovering: %s of %s files (%" PRIu64 " %%)%s%s",
	    r->id[0] ? r->id : "this storage", r->path, done, all, share,
	    r->from[0] ? " from " : "", r->from);
	return buf;
}
