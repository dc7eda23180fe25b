/* SPDX-License-Identifier: MIT */
/*
 * Filters become conditions. What comes from outside is bound; only the names
 * of our own columns and operators are SQL.
 */
#include "meta/query_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

/* --- building ------------------------------------------------------------ */

static void add_sql(struct where *w, const char *text)
{
	const size_t n = strlen(text);

	if (w->len + n + 1 > w->cap) {
		w->cap = (w->len + n + 1) * 2;
		w->sql = xrealloc(w->sql, w->cap, 1);
	}
	memcpy(w->sql + w->len, text, n + 1);
	w->len += n;
}

void where_add(struct where *w, const char *condition)
{
	add_sql(w, w->len ? " AND " : " WHERE ");
	add_sql(w, condition);
}

static struct where_value *add_value(struct where *w)
{
	w->values = xrealloc(w->values, w->n + 1, sizeof(*w->values));

	struct where_value *v = &w->values[w->n++];

	memset(v, 0, sizeof(*v));
	return v;
}

void where_number(struct where *w, int64_t n)
{
	add_value(w)->number = n;
}

void where_text(struct where *w, const char *text, size_t len)
{
	struct where_value *v = add_value(w);

	v->type = WHERE_TEXT;
	v->text = xcalloc(len + 1, 1);
	memcpy(v->text, text, len);
}

static void add_text(struct where *w, const char *condition, const char *text)
{
	where_add(w, condition);
	where_text(w, text, strlen(text));
}

void where_fini(struct where *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->values[i].text);
	free(w->values);
	free(w->sql);
	memset(w, 0, sizeof(*w));
}

int where_prepare(struct db *db, const struct where *w, const char *sql,
    sqlite3_stmt **out)
{
	const char *at = strchr(sql, '@');
	char *whole;
	int rc;

	*out = NULL;
	if (w->rc)
		return w->rc;
	whole =
	    sqlite3_mprintf("%.*s%s%s", (int)(at - sql), sql, w->sql, at + 1);
	if (!whole)
		return -ENOMEM;
	rc = sqlite3_prepare_v2(db->h, whole, -1, out, NULL);
	sqlite3_free(whole);
	for (size_t i = 0; rc == SQLITE_OK && i < w->n; i++) {
		const struct where_value *v = &w->values[i];

		rc = v->type == WHERE_TEXT
		         ? sqlite3_bind_text(*out, (int)i + 1, v->text, -1,
		               SQLITE_TRANSIENT)
		         : sqlite3_bind_int64(*out, (int)i + 1, v->number);
	}
	return db_errno(rc);
}

/* --- conditions ---------------------------------------------------------- */

static void add_range(struct where *w, const char *column,
    const struct query_range *r)
{
	char sql[80];

	if (r->has_min) {
		snprintf(sql, sizeof(sql), "%s >= ?", column);
		where_add(w, sql);
		where_number(w, r->min);
	}
	if (r->has_max) {
		snprintf(sql, sizeof(sql), "%s < ?", column);
		where_add(w, sql);
		where_number(w, r->max);
	}
}

/* column IN (?, ...) */
static void add_list(struct where *w, const char *column,
    const struct query_list *l, bool not )
{
	char sql[80];

	if (l->n == 0)
		return;
	snprintf(sql, sizeof(sql), "%s %sIN (", column, not ? "NOT " : "");
	where_add(w, sql);
	for (size_t i = 0; i < l->n; i++) {
		add_sql(w, i ? ", ?" : "?");
		where_text(w, l->items[i], strlen(l->items[i]));
	}
	add_sql(w, ")");
}

static void add_ids(struct where *w, const struct query_list *l)
{
	if (l->n == 0)
		return;
	where_add(w, "f.name IN (");
	for (size_t i = 0; i < l->n; i++) {
		const char *remote = query_remote(l->items[i]);

		add_sql(w, i ? ", ?" : "?");
		where_text(w, remote, strlen(remote));
	}
	add_sql(w, ")");
}

/* Names from the prefix to just behind its last possible one: the index. */
static void add_prefix(struct where *w, const char *prefix)
{
	const char *remote = query_remote(prefix);
	const size_t n = strlen(remote);

	if (n == 0)
		return;
	add_text(w, "f.name >= ?", remote);
	where_add(w, "f.name < ?");
	where_text(w, remote, n);
	w->values[w->n - 1].text[n - 1]++;
}

/* Clients: exact ones in one list, patterns each by itself. */
static void add_clients(struct where *w, const struct query_list *l)
{
	if (l->n == 0)
		return;
	where_add(w, "(");
	for (size_t i = 0; i < l->n; i++) {
		const bool pattern = strpbrk(l->items[i], "*?[") != NULL;

		add_sql(w, i ? " OR " : "");
		add_sql(w, pattern ? "f.client GLOB ?" : "f.client = ?");
		where_text(w, l->items[i], strlen(l->items[i]));
	}
	add_sql(w, ")");
}

static void add_numbers(struct where *w, const char *column,
    const unsigned *numbers, size_t n)
{
	if (n == 0)
		return;
	where_add(w, column);
	add_sql(w, " IN (");
	for (size_t i = 0; i < n; i++) {
		add_sql(w, i ? ", ?" : "?");
		where_number(w, numbers[i]);
	}
	add_sql(w, ")");
}

static void add_types(struct where *w, unsigned types)
{
	unsigned list[8];
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(list); i++)
		if (types & BIT(i))
			list[n++] = i;
	add_numbers(w, "f.type", list, n);
}

int query_hex2(const char *p)
{
	int n = 0;

	for (int i = 0; i < 2; i++) {
		const char c = p[i];

		if (c >= '0' && c <= '9')
			n = n * 16 + c - '0';
		else if (c >= 'A' && c <= 'F')
			n = n * 16 + c - 'A' + 10;
		else
			return -1;
	}
	return n;
}

/* "C4": every directory below; "C4/07": that one. */
static void add_dir(struct where *w, const char *dir)
{
	const size_t n = strlen(dir);
	const int high = n >= 2 ? query_hex2(dir) : -1;
	const int low = n == 5 && dir[2] == '/' ? query_hex2(dir + 3) : -1;

	if (high >= 0 && n == 2) {
		where_add(w, "f.dir BETWEEN ? AND ?");
		where_number(w, (int64_t)high * 256);
		where_number(w, (int64_t)high * 256 + 255);
	} else if (high >= 0 && low >= 0) {
		where_add(w, "f.dir = ?");
		where_number(w, (int64_t)high * 256 + low);
	} else {
		w->rc = -EINVAL;
	}
}

static const char *const meta_sql[] = {
	[META_EXISTS] = "f.id IN (SELECT file FROM attr WHERE key = ?)",
	[META_ABSENT] = "NOT EXISTS (SELECT 1 FROM attr WHERE file = f.id "
	                "AND key = ?)",
	[META_EQUALS] = "f.id IN (SELECT file FROM attr WHERE key = ? "
	                "AND value = ?)",
	[META_DIFFERS] = "f.id IN (SELECT file FROM attr WHERE key = ? "
	                 "AND value <> ?)",
	[META_GLOB] = "f.id IN (SELECT file FROM attr WHERE key = ? "
	              "AND value GLOB ?)",
#define COMPARED(op)                                                \
	"EXISTS (SELECT 1 FROM attr WHERE file = f.id AND key = ? " \
	"AND value GLOB '[-+.0-9]*' AND CAST(value AS REAL) " op    \
	" CAST(? AS REAL))"
	[META_LESS] = COMPARED("<"),
	[META_AT_MOST] = COMPARED("<="),
	[META_AT_LEAST] = COMPARED(">="),
	[META_MORE] = COMPARED(">"),
};

static void add_meta(struct where *w, const struct file_filter *f)
{
	for (size_t i = 0; i < f->n_meta; i++) {
		const struct meta_condition *m = &f->meta[i];

		add_text(w, meta_sql[m->test], m->key);
		if (m->test == META_EXISTS || m->test == META_ABSENT)
			continue;
		where_text(w, m->value, strlen(m->value));
	}
}

static void add_name(struct where *w, const struct file_filter *f)
{
#define SHOWN_NAME "coalesce(f.orig, substr(f.name, 11))"
	if (f->name_glob)
		add_text(w, SHOWN_NAME " GLOB ?", f->name_glob);
	if (f->name_iglob)
		add_text(w, "lower(" SHOWN_NAME ") GLOB lower(?)",
		    f->name_iglob);
	if (f->name_contains)
		add_text(w, "instr(" SHOWN_NAME ", ?) > 0", f->name_contains);
}

/* What tombstones keep of the place: the name. */
static void add_place_of_deleted(struct where *w, const struct file_filter *f)
{
	if (f->n_paths > 0) {
		where_add(w, "substr(f.name, 2, 2) IN (");
		for (size_t i = 0; i < f->n_paths; i++) {
			add_sql(w, i ? ", " : "");
			add_sql(w, "printf('%02X', ?)");
			where_number(w, f->paths[i]);
		}
		add_sql(w, ")");
	}
	if (f->dir)
		add_text(w, "instr(substr(f.name, 5, 5), ?) = 1", f->dir);
	add_range(w, "f.deleted_ms", &f->deleted_at);
	if (f->n_meta > 0 || f->never_verified || f->modified.has_min ||
	    f->modified.has_max || f->verified.has_min || f->verified.has_max)
		w->rc = -EINVAL; /* not kept of deleted files */
}

static void add_place(struct where *w, const struct file_filter *f)
{
	add_numbers(w, "f.path", f->paths, f->n_paths);
	if (f->dir)
		add_dir(w, f->dir);
	add_range(w, "f.modified_ms", &f->modified);
	add_range(w, "f.verified_ms", &f->verified);
	if (f->never_verified)
		where_add(w, "f.verified_ms IS NULL");
	add_meta(w, f);
}

void where_make(struct where *w, const struct file_filter *f)
{
	memset(w, 0, sizeof(*w));
	add_sql(w, "");
	add_ids(w, &f->ids);
	if (f->id_prefix)
		add_prefix(w, f->id_prefix);
	add_name(w, f);
	add_list(w, "f.ext", &f->exts, f->exts_not);
	add_types(w, f->types);
	add_range(w, "f.size", &f->size);
	add_range(w, "f.created_ms", &f->created);
	add_list(w, "f.source", &f->sources, false);
	add_clients(w, &f->clients);
	if (f->has_crc) {
		where_add(w, "f.crc = ?");
		where_number(w, f->crc);
	}
	if (f->deleted)
		add_place_of_deleted(w, f);
	else
		add_place(w, f);
}
