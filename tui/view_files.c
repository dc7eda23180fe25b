/* SPDX-License-Identifier: MIT */
/*
 * Files: what the metadata databases know, and what an id says by itself.
 * Everything here comes from clients; the canvas escapes it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "proto/fileid.h"
#include "tui/find.h"
#include "tui/num.h"
#include "tui/ui.h"

#define DETAIL_ROWS 9
#define TABLE_ROWS  5

static const char *const types[] = { "normal", "appender", "slave", "trunk",
	"link" };

static const char *type_name(int type)
{
	return type >= 0 && (size_t)type < ARRAY_LEN(types) ? types[type] : "?";
}

static enum role cell_id(const void *row, char *buf)
{
	const struct file_hit *hit = row;

	str_copy(buf, TABLE_CELL, hit->id);
	return hit->deleted ? ROLE_STALE : ROLE_TEXT;
}

static enum role cell_size(const void *row, char *buf)
{
	num_bytes(buf, (int64_t)((const struct file_hit *)row)->size);
	return ROLE_TEXT;
}

static double value_size(const void *row)
{
	return (double)((const struct file_hit *)row)->size;
}

static enum role cell_uploaded(const void *row, char *buf)
{
	const struct file_hit *hit = row;

	num_stamp(buf, hit->created > 0 ? hit->created / 1000 : -1);
	return ROLE_TEXT;
}

static enum role cell_age(const void *row, char *buf)
{
	const struct file_hit *hit = row;
	const int64_t age = (clock_wall() - hit->created) / 1000;

	if (hit->deleted)
		str_copy(buf, TABLE_CELL, "deleted");
	else if (hit->created <= 0)
		str_copy(buf, TABLE_CELL, "?");
	else
		num_age(buf, age < 0 ? 0 : age);
	return hit->deleted ? ROLE_WARN : ROLE_TEXT;
}

static double value_created(const void *row)
{
	const struct file_hit *hit = row;

	return hit->created > 0 ? (double)hit->created : NAN;
}

static enum role cell_type(const void *row, char *buf)
{
	str_copy(buf, TABLE_CELL,
	    type_name(((const struct file_hit *)row)->type));
	return ROLE_TEXT;
}

static enum role cell_name(const void *row, char *buf)
{
	str_copy(buf, TABLE_CELL, ((const struct file_hit *)row)->name);
	return ROLE_TEXT;
}

static enum role cell_source(const void *row, char *buf)
{
	str_copy(buf, TABLE_CELL, ((const struct file_hit *)row)->source);
	return ROLE_TEXT;
}

/* clang-format off */
const struct column file_columns[] = {
	{ "FILE ID", "id", COL_TEXT, 50, 0, false, true, cell_id, NULL },
	{ "SIZE", "size", COL_BYTES, 6, 0, true, false, cell_size,
	    value_size },
	{ "AGE", "age", COL_TIME, 7, 1, true, false, cell_age, value_created },
	{ "TYPE", "type", COL_TEXT, 8, 3, false, false, cell_type, NULL },
	{ "UPLOADED", "created", COL_TIME, 19, 4, false, false, cell_uploaded,
	    value_created },
	{ "SOURCE", "source", COL_TEXT, 10, 5, false, true, cell_source,
	    NULL },
	{ "ORIGINAL NAME", "name", COL_TEXT, 24, 2, false, false, cell_name,
	    NULL },
};
/* clang-format on */
const size_t n_file_columns = ARRAY_LEN(file_columns);

void file_key(const void *row, char *buf)
{
	const struct file_hit *hit = row;

	snprintf(buf, TABLE_CELL, "%zu:%s", hit->db, hit->id);
}

void view_files_load(struct ui *ui)
{
	if (ui->files)
		table_load(&ui->hits, ui->files->hits, ui->files->n_hits,
		    sizeof(*ui->files->hits));
}

/* --- what an id says --- */
static void source_text(const struct fileid *id, char *buf, size_t cap)
{
	if (fileid_source_is_id(id->source))
		snprintf(buf, cap, "%" PRIu32, id->source);
	else
		snprintf(buf, cap, "%u.%u.%u.%u", id->source & 0xff,
		    id->source >> 8 & 0xff, id->source >> 16 & 0xff,
		    id->source >> 24);
}

/* One line: decoded from the id, and whether the record agrees. */
static void draw_decoded(struct canvas *c, int y, const char *id,
    const struct file_hit *hit)
{
	struct span group;
	struct span name;
	struct fileid_name parsed;
	char source[ADDR_IP_MAX];
	char at[NUM_MAX];
	char size[NUM_MAX];
	bool same;
	int x = canvas_printf(c, y, 1, ROLE_DIM, "decoded   ");

	if (!find_is_id(id, &group, &name) || fileid_parse(name, &parsed) < 0 ||
	    !parsed.has_record) {
		canvas_printf(c, y, x, ROLE_UNKNOWN,
		    "the name carries no record (a slave or an older name)");
		return;
	}
	source_text(&parsed.id, source, sizeof(source));
	x = canvas_printf(c, y, x, ROLE_TEXT, "%s · %s", source,
	    num_stamp(at, parsed.id.time));
	if (parsed.type == FILE_NORMAL || parsed.type == FILE_TRUNK)
		x = canvas_printf(c, y, x, ROLE_TEXT,
		    " · %s bytes · crc 0x%08" PRIx32,
		    num_grouped(size, (int64_t)fileid_size(&parsed.id)),
		    parsed.id.crc);
	if (!hit)
		canvas_printf(c, y, x, ROLE_TEXT, " · %s",
		    type_name((int)parsed.type));
	if (!hit || hit->deleted || parsed.type != FILE_NORMAL)
		return;
	same = fileid_size(&parsed.id) == hit->size &&
	       (!hit->has_crc || hit->crc == parsed.id.crc);
	canvas_printf(c, y, x, same ? ROLE_OK : ROLE_CRIT, "   %s",
	    same ? "agrees" : "differs from the record!");
}

/* --- one file --- */
static void label(struct canvas *c, int y, const char *text)
{
	canvas_text(c, y, 1, 9, ROLE_DIM, text);
}

static void draw_attrs(struct canvas *c, int y, const struct files_view *f,
    bool ready)
{
	int x = 11;

	label(c, y, "meta");
	if (!ready) {
		canvas_printf(c, y, x, ROLE_DIM, "…");
		return;
	}
	if (f->n_attrs == 0)
		canvas_printf(c, y, x, ROLE_DIM, "none");
	for (size_t i = 0; i < f->n_attrs && x < c->cols - 8; i++) {
		char text[340];

		snprintf(text, sizeof(text), "%s=%s", f->attrs[i].key,
		    f->attrs[i].value);
		x += 2 + canvas_text(c, y, x, c->cols - 1 - x, ROLE_TEXT, text);
	}
}

static const char *op_name(char code)
{
	switch (code) {
	case 'C':
		return "created";
	case 'A':
		return "appended";
	case 'M':
		return "modified";
	case 'T':
		return "truncated";
	case 'D':
		return "deleted";
	case 'U':
		return "metadata set";
	case 'R':
		return "renamed";
	case 'L':
		return "linked";
	default:
		return "?";
	}
}

static void draw_story(struct canvas *c, int y, int h,
    const struct files_view *f)
{
	const size_t shown = size_min(f->n_ops, h > 0 ? (size_t)h : 0);
	char at[NUM_MAX];
	char bytes[NUM_MAX];

	label(c, y, "story");
	if (f->n_ops == 0)
		canvas_printf(c, y, 11, ROLE_DIM, "not in the log any more");
	for (size_t i = 0; i < shown; i++) {
		const struct file_op *op = &f->ops[f->n_ops - shown + i];
		int x = canvas_printf(c, y, 11, ROLE_TEXT, "%s  %s",
		    num_stamp(at, op->at / 1000), op_name(op->code));

		if (op->bytes > 0 && op->code != 'U')
			x = canvas_printf(c, y, x, ROLE_TEXT, " %s",
			    num_bytes(bytes, (int64_t)op->bytes));
		if (op->client[0])
			x = canvas_printf(c, y, x, ROLE_DIM, " by %s",
			    op->client);
		if (op->replica)
			canvas_printf(c, y, x, ROLE_DIM,
			    " (copied from a peer)");
		y++;
	}
}

static void draw_hit(struct canvas *c, struct area a,
    const struct files_view *f, const struct file_hit *hit)
{
	const bool ready = f->have_detail && strcmp(f->detail_id, hit->id) == 0;
	const char *slash = strrchr(hit->id, '/');
	char size[NUM_MAX];
	char human[NUM_MAX];
	char at[NUM_MAX];
	int y = a.y;
	int x;

	canvas_rule(c, y++, 0, a.w, slash ? slash + 1 : hit->id, "");
	label(c, y, "name");
	canvas_text(c, y, 11, a.w > 60 ? a.w - 40 : a.w - 12,
	    hit->name[0] ? ROLE_TEXT : ROLE_DIM,
	    hit->name[0] ? hit->name : "-");
	if (a.w > 60)
		canvas_printf(c, y, a.w - 28, ROLE_TEXT, "type %s",
		    type_name(hit->type));
	y++;
	label(c, y, "size");
	x = canvas_printf(c, y, 11, ROLE_TEXT, "%s bytes",
	    num_grouped(size, (int64_t)hit->size));
	if (hit->size >= 1024)
		x = canvas_printf(c, y, x, ROLE_TEXT, " (%s)",
		    num_bytes(human, (int64_t)hit->size));
	if (hit->has_crc)
		canvas_printf(c, y, x + 4, ROLE_TEXT, "crc32 0x%08" PRIx32,
		    hit->crc);
	y++;
	label(c, y, "uploaded");
	x = canvas_printf(c, y, 11, ROLE_TEXT, "%s",
	    num_stamp(at, hit->created > 0 ? hit->created / 1000 : -1));
	if (hit->client[0])
		x = canvas_printf(c, y, x, ROLE_TEXT, " from %s", hit->client);
	if (hit->source[0])
		x = canvas_printf(c, y, x, ROLE_TEXT, " to %s", hit->source);
	if (hit->deleted)
		canvas_printf(c, y, x, ROLE_WARN, "   deleted %s",
		    num_stamp(at, hit->deleted_at / 1000));
	y++;
	draw_decoded(c, y++, hit->id, hit);
	draw_attrs(c, y++, f, ready);
	if (ready)
		draw_story(c, y, a.y + a.h - y, f);
}

/* --- the view --- */
static void draw_query(struct canvas *c, int y, const struct ui *ui)
{
	const struct files_view *f = ui->files;
	char files[NUM_MAX];
	char bytes[NUM_MAX];
	char sum[96] = "";
	int w;

	canvas_printf(c, y, 1, ROLE_PROMPT, "find");
	if (f && f->state == FILES_READY && f->have_sum)
		snprintf(sum, sizeof(sum), "%s%s %s %s", f->sum_old ? "~" : "",
		    num_grouped(files, (int64_t)f->sum_files),
		    f->sum_files == 1 ? "file" : "files",
		    num_bytes(bytes, (int64_t)f->sum_bytes));
	w = canvas_width(c, sum);
	canvas_right(c, y, c->cols - 1 - w, w, ROLE_DIM, sum);
	canvas_text(c, y, 7, c->cols - 10 - w,
	    ui->find[0] ? ROLE_TEXT : ROLE_DIM,
	    ui->find[0] ? ui->find : "everything, newest first");
}

static int draw_no_record(struct canvas *c, struct area a, const struct ui *ui,
    const char *why)
{
	struct span group;
	struct span name;
	char rest[192];
	int y = a.y;

	if (!find_is_id(ui->find, &group, &name)) {
		canvas_printf(c, y, 1, ROLE_TEXT, "%s", why);
		return 1;
	}
	snprintf(rest, sizeof(rest), "%.*s/%.*s", (int)group.n, group.p,
	    (int)name.n, name.p);
	canvas_rule(c, y++, 0, a.w, rest, "");
	draw_decoded(c, y++, ui->find, NULL);
	label(c, y, "record");
	canvas_printf(c, y++, 11, ROLE_TEXT, "%s", why);
	return y - a.y;
}

static void draw_help_lines(struct canvas *c, int y, int end)
{
	static const char *const lines[] = {
		"/ then a file id or a URL that ends in one, or words:",
		"  ext=pdf,doc   size>10M   size=1M..2M   age<7d   "
		"name=*invoice*",
		"  meta.author=li*   type=appender   source=ID   client=10.0.*",
		"  path=M00   dir=C4/07   crc=11ce90f3   deleted   WORD of the "
		"name",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines) && y < end; i++)
		canvas_printf(c, y++, 1, ROLE_DIM, "%s", lines[i]);
}

static void status_line(struct ui *ui)
{
	const struct files_view *f = ui->files;
	char rows[120];
	struct strbuf b = strbuf_over(ui->status, sizeof(ui->status));

	table_status(&ui->hits, "file", rows, sizeof(rows));
	strbuf_addf(&b, "%s", rows);
	if (f->more)
		strbuf_addf(&b, ", the first %d of more", FILES_SHOWN);
	if (f->took_us >= 1000)
		strbuf_addf(&b, " · %" PRIu64 " ms", f->took_us / 1000);
	if (f->have_lag && f->waiting > 0)
		strbuf_addf(&b,
		    " · %" PRIu64 " operations not yet in the "
		    "catalogue",
		    f->waiting);
}

static void draw_table(struct canvas *c, struct area a, struct ui *ui)
{
	const struct files_view *f = ui->files;
	const struct file_hit *hit;
	int rows = a.h;

	view_files_load(ui);
	hit = table_current(&ui->hits);
	if (!hit) {
		const int used = draw_no_record(c, a, ui,
		    ui->find[0] ? "no file matches" : "no file is recorded");

		draw_help_lines(c, a.y + used + 1, a.y + a.h);
		return;
	}
	if (a.h >= TABLE_ROWS + DETAIL_ROWS) {
		const int detail = a.h > 24 ? DETAIL_ROWS + 6 : DETAIL_ROWS;

		rows = a.h - detail;
		draw_hit(c, (struct area){ a.y + rows, 0, detail, a.w }, f,
		    hit);
	}
	table_draw(&ui->hits, c, a.y, rows, false);
	status_line(ui);
}

void view_files(struct canvas *c, struct area a, struct ui *ui)
{
	const struct files_view *f = ui->files;
	struct area rest = { a.y + 1, 0, a.h - 1, a.w };
	int used;

	draw_query(c, a.y, ui);
	if (!f || f->n_dbs == 0) {
		rest.y++;
		used = draw_no_record(c, rest, ui,
		    "no metadata file is known (--db); an id is decoded "
		    "without");
		draw_help_lines(c, rest.y + used + 1, a.y + a.h);
	} else if (f->state == FILES_FAILED) {
		canvas_text(c, rest.y + 1, 1, a.w - 2, ROLE_WARN, f->error);
		draw_help_lines(c, rest.y + 3, a.y + a.h);
	} else if (f->state == FILES_READY || f->n_hits > 0) {
		draw_table(c, rest, ui);
	}
	if (f && f->state == FILES_SEARCHING)
		snprintf(ui->status, sizeof(ui->status), "searching…");
}
