/* SPDX-License-Identifier: MIT */
#include "cli/binlog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/fileid.h"

static const char letters[] = "CDUAMTLR";

/* Up to the next blank, or all of it; *rest moves on behind it. */
static struct span word(struct span *rest)
{
	const char *blank = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	const size_t n = blank ? (size_t)(blank - rest->p) : rest->n;
	const struct span w = { rest->p, n };

	rest->p += n + (blank != NULL);
	rest->n -= n + (blank != NULL);
	return w;
}

static int number(struct span s, uint64_t *out)
{
	char text[24];

	if (s.n == 0 || s.n >= sizeof(text))
		return -EINVAL;
	str_copy_span(text, sizeof(text), s);
	return str_to_u64(text, out) < 0 ? -EINVAL : 0;
}

/* "Mxx/HH/LL/file", as every name in a binlog must be. */
static bool name_ok(struct span name)
{
	struct fileid_name n;

	return name.n > 0 && name.n <= BINLOG_NAME_MAX && name.p[0] == 'M' &&
	       memchr(name.p, '\0', name.n) == NULL &&
	       memchr(name.p, '\n', name.n) == NULL &&
	       fileid_parse(name, &n) == 0;
}

static int parse_extra(struct binlog_line *l, struct span rest)
{
	switch (l->op) {
	case 'A':
	case 'M':
	case 'T':
		if (number(word(&rest), &l->a) < 0 ||
		    number(word(&rest), &l->b) < 0 || rest.n > 0)
			return -EINVAL;
		return 0;
	case 'L':
	case 'R':
		l->other = rest;
		return name_ok(rest) ? 0 : -EINVAL;
	default:
		return rest.n == 0 ? 0 : -EINVAL;
	}
}

int binlog_parse(struct span line, struct binlog_line *out)
{
	struct span rest = line;
	struct span op;
	uint64_t when;

	memset(out, 0, sizeof(*out));
	if (line.n >= BINLOG_LINE_MAX || number(word(&rest), &when) < 0 ||
	    when > INT64_MAX)
		return -EINVAL;
	op = word(&rest);
	if (op.n != 1)
		return -EINVAL;
	out->replica = op.p[0] >= 'a' && op.p[0] <= 'z';
	out->op = (char)(out->replica ? op.p[0] - 'a' + 'A' : op.p[0]);
	if (!out->op || !strchr(letters, out->op) ||
	    rest.n > BINLOG_NAME_MAX * 2 + 1)
		return -EINVAL;
	out->time = (int64_t)when;
	out->name = word(&rest);
	return name_ok(out->name) ? parse_extra(out, rest) : -EINVAL;
}

ssize_t binlog_format(const struct binlog_line *l, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);
	struct binlog_line again;

	if (!l->op || !strchr(letters, l->op) || l->time < 0)
		return -EINVAL;
	strbuf_addf(&b, "%" PRId64 " %c %.*s", l->time,
	    l->replica ? l->op - 'A' + 'a' : l->op, (int)l->name.n, l->name.p);
	if (strchr("AMT", l->op))
		strbuf_addf(&b, " %" PRIu64 " %" PRIu64, l->a, l->b);
	else if (strchr("LR", l->op))
		strbuf_addf(&b, " %.*s", (int)l->other.n, l->other.p);
	if (b.failed || b.len + 1 > BINLOG_LINE_MAX ||
	    binlog_parse((struct span){ buf, b.len }, &again) < 0)
		return -EINVAL;
	strbuf_add(&b, "\n", 1);
	return b.failed ? -EINVAL : (ssize_t)b.len;
}

int binlog_cmp(const struct binlog_pos *a, const struct binlog_pos *b)
{
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* --- mark files ---------------------------------------------------------- */

enum {
	KEY_INDEX,
	KEY_OFFSET,
	KEY_NEED_OLD,
	KEY_OLD_DONE,
	KEY_UNTIL,
	KEY_SCANNED,
	KEY_SYNCED,
	N_KEYS
};

static const char *const mark_keys[N_KEYS] = { "binlog_index", "binlog_offset",
	"need_sync_old", "sync_old_done", "until_timestamp", "scan_row_count",
	"sync_row_count" };

static void mark_line(struct span line, uint64_t values[N_KEYS],
    bool found[N_KEYS])
{
	const char *eq = line.n ? memchr(line.p, '=', line.n) : NULL;

	if (!eq)
		return;
	for (size_t i = 0; i < N_KEYS; i++) {
		const struct span key = { line.p, (size_t)(eq - line.p) };
		const struct span value = { eq + 1, line.n - key.n - 1 };

		if (span_eq(key, mark_keys[i]))
			found[i] = number(value, &values[i]) == 0;
	}
}

int binlog_mark_parse(struct span text, struct binlog_mark *out,
    const char **missing)
{
	uint64_t values[N_KEYS] = { 0 };
	bool found[N_KEYS] = { false };

	while (text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		const size_t n = end ? (size_t)(end - text.p) : text.n;

		mark_line((struct span){ text.p, n }, values, found);
		text.p += n + (end != NULL);
		text.n -= n + (end != NULL);
	}
	for (size_t i = 0; i < N_KEYS; i++) {
		if (!found[i]) {
			*missing = mark_keys[i];
			return -EINVAL;
		}
	}
	if (values[KEY_INDEX] > 999) {
		*missing = mark_keys[KEY_INDEX];
		return -EINVAL;
	}
	*out = (struct binlog_mark){
		.pos = { (unsigned)values[KEY_INDEX], values[KEY_OFFSET] },
		.need_sync_old = values[KEY_NEED_OLD] != 0,
		.sync_old_done = values[KEY_OLD_DONE] != 0,
		.until = (int64_t)values[KEY_UNTIL],
		.scanned = values[KEY_SCANNED],
		.synced = values[KEY_SYNCED],
	};
	return 0;
}

size_t binlog_mark_format(const struct binlog_mark *m,
    char buf[BINLOG_MARK_MAX])
{
	const uint64_t values[N_KEYS] = { m->pos.index, m->pos.offset,
		m->need_sync_old, m->sync_old_done, (uint64_t)m->until,
		m->scanned, m->synced };
	struct strbuf b = strbuf_over(buf, BINLOG_MARK_MAX);

	for (size_t i = 0; i < N_KEYS; i++)
		strbuf_addf(&b, "%s=%" PRIu64 "\n", mark_keys[i], values[i]);
	return b.len;
}
