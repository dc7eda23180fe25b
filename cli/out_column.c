/* SPDX-License-Identifier: MIT */
/*
 * Which columns are shown and what a value looks like. People get short
 * numbers and local time; programs get plain integers and UTC.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/out_impl.h"
#include "proto/kv.h"

static const char *const type_names[] = {
	[OUT_TEXT] = "text",
	[OUT_INT] = "number",
	[OUT_REAL] = "number",
	[OUT_BYTES] = "bytes",
	[OUT_COUNT] = "count",
	[OUT_PERCENT] = "percent",
	[OUT_SECONDS] = "seconds",
	[OUT_MICROS] = "microseconds",
	[OUT_TIME] = "time",
	[OUT_BOOL] = "boolean",
	[OUT_CRC] = "crc32",
	[OUT_PAIRS] = "pairs",
};

void out_print_columns(const struct out_layout *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct out_column *c = &l->columns[i];

		printf("%-16s %-12s %s%s\n", c->name, type_names[c->type],
		    c->help,
		    c->flags & OUT_EXTRA ? " (not shown unless asked)" : "");
	}
}

static int find_column(const struct out_layout *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->columns[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void show(struct out *out, size_t column)
{
	for (size_t i = 0; i < out->n_shown; i++)
		if (out->shown[i] == column)
			return;
	out->shown[out->n_shown++] = column;
}

static void hide(struct out *out, size_t column)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->n_shown; i++)
		if (out->shown[i] != column)
			out->shown[kept++] = out->shown[i];
	out->n_shown = kept;
}

static void show_default(struct out *out)
{
	const bool all =
	    out->options.format == OUT_JSON ||
	    out->options.format == OUT_NDJSON ||
	    (out->layout.records && out->options.format == OUT_TABLE);

	for (size_t i = 0; i < out->layout.n; i++)
		if (all || !(out->layout.columns[i].flags & OUT_EXTRA))
			show(out, i);
}

static enum status choose_one(struct out *out, const char *word, bool first)
{
	const bool is_signed = *word == '+' || *word == '-';
	const char *name = word + is_signed;
	const int column = find_column(&out->layout, name);

	if (column < 0) {
		const char *best =
		    err_nearest(name, &out->layout.columns[0].name,
		        out->layout.n, sizeof(struct out_column));

		if (best)
			return err_usage(NULL,
			    "no column \"%s\"; did you mean %s?", name, best);
		return err_usage("--list-columns lists them",
		    "no column \"%s\"", name);
	}
	if (first && is_signed)
		show_default(out);
	if (*word == '-')
		hide(out, (size_t)column);
	else
		show(out, (size_t)column);
	return STATUS_OK;
}

enum status out_choose(struct out *out, const char *list)
{
	char *copy;
	char *save = NULL;
	enum status st = STATUS_OK;
	bool first = true;

	if (!list) {
		show_default(out);
		return STATUS_OK;
	}
	copy = xstrdup(list);
	for (char *w = strtok_r(copy, ",", &save); w && st == STATUS_OK;
	     w = strtok_r(NULL, ",", &save)) {
		st = choose_one(out, w, first);
		first = false;
	}
	free(copy);
	if (st == STATUS_OK && out->n_shown == 0)
		st = err_usage("--list-columns lists them",
		    "-o leaves no column to show");
	return st;
}

const char *out_time_utc(int64_t unix_s, char *buf, size_t cap)
{
	const time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		str_copy(buf, cap, "?");
	return buf;
}

static void local_time(int64_t unix_s, char *buf, size_t cap)
{
	const time_t t = (time_t)unix_s;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    strftime(buf, cap, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		str_copy(buf, cap, "?");
}

/* 48211904 as 48,211,904. */
static void grouped(int64_t n, char *buf, size_t cap)
{
	char digits[24];
	struct strbuf b = strbuf_over(buf, cap);
	size_t len;

	snprintf(digits, sizeof(digits), "%" PRIu64,
	    n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
	len = strlen(digits);
	if (n < 0)
		strbuf_add(&b, "-", 1);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			strbuf_add(&b, ",", 1);
		strbuf_add(&b, &digits[i], 1);
	}
}

bool out_plain(const struct out_column *c, const struct out_cell *cell,
    char *buf, size_t cap)
{
	if (!cell->known)
		return false;
	switch (c->type) {
	case OUT_TEXT:
	case OUT_REAL:
	case OUT_PAIRS:
		return false;
	case OUT_TIME:
		out_time_utc(cell->n, buf, cap);
		break;
	case OUT_BOOL:
		str_copy(buf, cap, cell->n ? "true" : "false");
		break;
	case OUT_CRC:
		snprintf(buf, cap, "%08x", (unsigned)(uint32_t)cell->n);
		break;
	default:
		snprintf(buf, cap, "%" PRId64, cell->n);
		break;
	}
	return true;
}

/* Escaped for a terminal; in a locale of bytes also all that is not ASCII. */
static char *safe_text(struct span s)
{
	const size_t cap = 4 * s.n + 1;
	char *text = xcalloc(cap, 1);
	char *plain;
	struct strbuf b;

	str_escape(text, cap, s.p, s.n);
	if (MB_CUR_MAX > 1)
		return text;
	plain = xcalloc(4 * strlen(text) + 1, 1);
	b = strbuf_over(plain, 4 * strlen(text) + 1);
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x80)
			strbuf_add(&b, p, 1);
		else
			strbuf_addf(&b, "\\x%02x", (unsigned char)*p);
	}
	free(text);
	return plain;
}

/* author=lin  dept=finance */
static char *pairs_text(struct span packed)
{
	struct kv_list l;
	const size_t cap = 2 * packed.n + 16;
	char *raw;
	struct strbuf b;
	char *text;

	if (kv_parse(packed, &l) < 0)
		return xstrdup("?");
	raw = xcalloc(cap, 1);
	b = strbuf_over(raw, cap);
	for (size_t i = 0; i < l.n; i++) {
		strbuf_addf(&b, "%s", i > 0 ? "  " : "");
		strbuf_add(&b, l.items[i].name.p, l.items[i].name.n);
		strbuf_add(&b, "=", 1);
		strbuf_add(&b, l.items[i].value.p, l.items[i].value.n);
	}
	text = safe_text((struct span){ raw, b.len });
	free(raw);
	kv_list_fini(&l);
	return text;
}

/* Where a line is a field there is room for both: "188,435 bytes (184k)". */
static void exact_bytes(int64_t n, char *buf, size_t cap)
{
	char whole[32];
	char about[24];

	grouped(n, whole, sizeof(whole));
	if (n < 1024)
		snprintf(buf, cap, "%s byte%s", whole, n == 1 ? "" : "s");
	else
		snprintf(buf, cap, "%s bytes (%s)", whole,
		    str_bytes(about, sizeof(about), (uint64_t)n));
}

static void bytes_text(const struct out *out, int64_t n, char *buf, size_t cap)
{
	if (out->options.bytes || n < 0)
		snprintf(buf, cap, "%" PRId64, n);
	else if (out->layout.records && out->options.format == OUT_TABLE)
		exact_bytes(n, buf, cap);
	else
		str_bytes(buf, cap, (uint64_t)n);
}

char *out_value(const struct out *out, const struct out_column *c,
    const struct out_cell *cell)
{
	char buf[64];
	char marked[72];

	if (!cell->known)
		return xstrdup("-");
	switch (c->type) {
	case OUT_TEXT:
	case OUT_REAL:
		return cell->text.n ? safe_text(cell->text) : xstrdup("-");
	case OUT_PAIRS:
		return cell->text.n ? pairs_text(cell->text) : xstrdup("-");
	case OUT_BYTES:
		bytes_text(out, cell->n, buf, sizeof(buf));
		break;
	case OUT_COUNT:
		grouped(cell->n, buf, sizeof(buf));
		break;
	case OUT_PERCENT:
		snprintf(buf, sizeof(buf), "%" PRId64 " %%", cell->n);
		break;
	case OUT_SECONDS:
		str_duration(buf, sizeof(buf), cell->n);
		break;
	case OUT_MICROS:
		snprintf(buf, sizeof(buf), "%.2f ms", (double)cell->n / 1000.0);
		break;
	case OUT_TIME:
		local_time(cell->n, buf, sizeof(buf));
		break;
	case OUT_BOOL:
		str_copy(buf, sizeof(buf), cell->n ? "yes" : "no");
		break;
	default:
		out_plain(c, cell, buf, sizeof(buf));
		break;
	}
	if (!cell->bound)
		return xstrdup(buf);
	snprintf(marked, sizeof(marked), "%s%s",
	    MB_CUR_MAX > 1 ? "≤" : "<=", buf);
	return xstrdup(marked);
}

size_t out_utf8(const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t need;
	uint32_t code;

	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] < 0xe0)
		need = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		need = 3;
	else if (s[0] >= 0xf0 && s[0] < 0xf5)
		need = 4;
	else
		return 0;
	if (need > n)
		return 0;
	code = s[0] & (0x7fU >> need);
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fU);
	}
	if ((need == 3 &&
	        (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
	    (need == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	return need;
}
