/* SPDX-License-Identifier: MIT */
/*
 * Formats for programs. They do not depend on terminal, locale, width or
 * units: the same rows are the same bytes everywhere. Text that is not UTF-8
 * is shown with U+FFFD, and JSON carries the bytes beside it as base64.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/out_impl.h"
#include "proto/kv.h"

static void json_string(struct span s)
{
	const size_t cap = 6 * s.n + 1;
	char small[1024];
	char *buf = cap <= sizeof(small) ? small : xcalloc(cap, 1);
	struct strbuf b = strbuf_over(buf, cap);

	str_json(&b, s.p, s.n);
	putchar('"');
	fwrite(buf, 1, b.len, stdout);
	putchar('"');
	if (buf != small)
		free(buf);
}

static bool all_utf8(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		const size_t n = out_utf8(s.p + i, s.n - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static void base64(struct span s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < s.n ? (uint8_t)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			putchar(i + k <= s.n ? letters[v >> (18 - 6 * k) & 63]
			                     : '=');
	}
}

static void json_pairs(struct span packed)
{
	struct kv_list l;

	putchar('{');
	if (kv_parse(packed, &l) == 0) {
		for (size_t i = 0; i < l.n; i++) {
			if (i > 0)
				putchar(',');
			json_string(l.items[i].name);
			putchar(':');
			json_string(l.items[i].value);
		}
		kv_list_fini(&l);
	}
	putchar('}');
}

static void json_cell(const struct out_column *c, const struct out_cell *cell)
{
	char buf[64];

	printf("\"%s\":", c->name);
	if (!cell->known) {
		fputs("null", stdout);
	} else if (c->type == OUT_REAL) {
		fwrite(cell->text.p, 1, cell->text.n, stdout);
	} else if (c->type == OUT_PAIRS) {
		json_pairs(cell->text);
	} else if (c->type == OUT_TEXT) {
		json_string(cell->text);
		if (!all_utf8(cell->text)) {
			printf(",\"%s_b64\":\"", c->name);
			base64(cell->text);
			putchar('"');
		}
	} else {
		const bool quoted = c->type == OUT_TIME || c->type == OUT_CRC;

		out_plain(c, cell, buf, sizeof(buf));
		printf(quoted ? "\"%s\"" : "%s", buf);
	}
}

static void json_row(const struct out *out, const struct out_cell *cells)
{
	putchar('{');
	for (size_t i = 0; i < out->n_shown; i++) {
		const size_t c = out->shown[i];

		if (i > 0)
			putchar(',');
		json_cell(&out->layout.columns[c], &cells[c]);
	}
	putchar('}');
}

/* CSV: quotes only where needed. TSV: escapes. Broken UTF-8: U+FFFD. */
static void text_field(enum out_format f, struct span s)
{
	bool quote = false;

	for (size_t i = 0; i < s.n && f == OUT_CSV; i++)
		quote |= strchr("\",\n\r", s.p[i]) != NULL;
	if (quote)
		putchar('"');
	for (size_t i = 0; i < s.n;) {
		const size_t n = out_utf8(s.p + i, s.n - i);
		const char c = s.p[i];

		if (n == 0)
			fputs("\xef\xbf\xbd", stdout);
		else if (f == OUT_CSV && c == '"')
			fputs("\"\"", stdout);
		else if (f == OUT_TSV && c == '\t')
			fputs("\\t", stdout);
		else if (f == OUT_TSV && c == '\n')
			fputs("\\n", stdout);
		else if (f == OUT_TSV && c == '\\')
			fputs("\\\\", stdout);
		else
			fwrite(s.p + i, 1, n, stdout);
		i += n ? n : 1;
	}
	if (quote)
		putchar('"');
}

/* key=value;key=value, as one field. */
static void pairs_field(enum out_format f, struct span packed)
{
	struct kv_list l;
	const size_t cap = 2 * packed.n + 16;
	char *buf;
	struct strbuf b;

	if (kv_parse(packed, &l) < 0)
		return;
	buf = xcalloc(cap, 1);
	b = strbuf_over(buf, cap);
	for (size_t i = 0; i < l.n; i++) {
		strbuf_add(&b, ";", i > 0);
		strbuf_add(&b, l.items[i].name.p, l.items[i].name.n);
		strbuf_add(&b, "=", 1);
		strbuf_add(&b, l.items[i].value.p, l.items[i].value.n);
	}
	text_field(f, (struct span){ buf, b.len });
	free(buf);
	kv_list_fini(&l);
}

static void field(const struct out *out, const struct out_column *c,
    const struct out_cell *cell)
{
	const enum out_format f = (enum out_format)out->options.format;
	char buf[64];

	if (!cell->known)
		return;
	if (c->type == OUT_TEXT || c->type == OUT_REAL)
		text_field(f, cell->text);
	else if (c->type == OUT_PAIRS)
		pairs_field(f, cell->text);
	else if (out_plain(c, cell, buf, sizeof(buf)))
		fputs(buf, stdout);
}

static void heading(const struct out *out)
{
	for (size_t i = 0; i < out->n_shown; i++)
		printf("%s%s",
		    i == 0                           ? ""
		    : out->options.format == OUT_CSV ? ","
		                                     : "\t",
		    out->layout.columns[out->shown[i]].name);
	putchar('\n');
}

void out_machine_open(struct out *out)
{
	char at[32];

	switch (out->options.format) {
	case OUT_JSON:
		printf("{\"schema\":\"%s\",\"at\":\"%s\",\"rows\":[",
		    out->layout.schema,
		    out_time_utc(clock_wall_sec(), at, sizeof(at)));
		break;
	case OUT_CSV:
	case OUT_TSV:
		if (!out->options.no_header)
			heading(out);
		break;
	default:
		break;
	}
}

static void print0_row(const struct out *out, const struct out_cell *cells)
{
	for (size_t i = 0; i < out->n_shown; i++) {
		const struct out_column *c =
		    &out->layout.columns[out->shown[i]];
		const struct out_cell *cell = &cells[out->shown[i]];
		char buf[64];

		if (out_plain(c, cell, buf, sizeof(buf)))
			fputs(buf, stdout);
		else if (cell->known)
			fwrite(cell->text.p, 1, cell->text.n, stdout);
		putchar('\0');
		if (!out->options.columns)
			break; /* the first one: the id */
	}
}

void out_machine_row(struct out *out, const struct out_cell *cells)
{
	switch (out->options.format) {
	case OUT_JSON:
		fputs(out->rows > 0 ? ",\n" : "\n", stdout);
		json_row(out, cells);
		break;
	case OUT_NDJSON:
		json_row(out, cells);
		putchar('\n');
		break;
	case OUT_PRINT0:
		print0_row(out, cells);
		break;
	default:
		for (size_t i = 0; i < out->n_shown; i++) {
			const size_t c = out->shown[i];

			if (i > 0)
				putchar(out->options.format == OUT_CSV ? ','
				                                       : '\t');
			field(out, &out->layout.columns[c], &cells[c]);
		}
		putchar('\n');
		break;
	}
}

void out_machine_close(struct out *out, const struct out_end *end)
{
	if (out->options.format != OUT_JSON)
		return;
	printf("],\n\"complete\":%s,\"missing\":[",
	    end->complete ? "true" : "false");
	for (size_t i = 0; i < end->n_missing; i++) {
		fputs(i > 0 ? "," : "", stdout);
		json_string(span_of(end->missing[i]));
	}
	fputs("],\"sources\":[", stdout);
	for (size_t i = 0; i < end->n_sources; i++) {
		fputs(i > 0 ? ",{\"name\":" : "{\"name\":", stdout);
		json_string(span_of(end->sources[i].name));
		if (end->sources[i].age_s >= 0)
			printf(",\"age_s\":%lld}",
			    (long long)end->sources[i].age_s);
		else
			fputs(",\"age_s\":null}", stdout);
	}
	putchar(']');
	if (end->total >= 0)
		printf(",\"total\":%lld", (long long)end->total);
	if (end->next) {
		fputs(",\"next\":", stdout);
		json_string(span_of(end->next));
	}
	fputs("}\n", stdout);
}
