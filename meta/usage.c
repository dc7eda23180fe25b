/* SPDX-License-Identifier: MIT */
/*
 * One hash table holds the sums of all roll-ups; the kind of roll-up is part of
 * the key. Keys are fixed bytes, zero-filled, so that comparing is memcmp. The
 * table grows to the largest batch and is kept.
 */
#include "meta/usage.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

enum kind { KIND_DAY, KIND_SIZE, KIND_DIR, KIND_CLIENT, KIND_COUNT };

struct key {
	uint32_t kind;
	uint32_t a; /* path; class */
	int64_t b;  /* dir; day */
	char text[48];
};

#define SUMS 8 /* files, bytes, then struct usage_acts */

struct slot {
	bool used;
	struct key key;
	int64_t sums[SUMS];
};

struct usage {
	struct slot *slots;
	size_t cap; /* power of two */
	size_t n;
	struct slot **order; /* cap pointers, for flush */
};

unsigned usage_class(uint64_t size)
{
	return size ? 64 - (unsigned)__builtin_clzll(size) : 0;
}

static void allocate(struct usage *u, size_t cap)
{
	u->cap = cap;
	u->n = 0;
	u->slots = xcalloc(cap, sizeof(*u->slots));
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers it is */
	u->order = xcalloc(cap, sizeof(struct slot *));
}

struct usage *usage_new(void)
{
	struct usage *u = xcalloc(1, sizeof(*u));

	allocate(u, 4096);
	return u;
}

void usage_free(struct usage *u)
{
	if (!u)
		return;
	free(u->slots);
	free(u->order);
	free(u);
}

static size_t hash(const struct key *k)
{
	uint64_t words[sizeof(*k) / 8];
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

	memcpy(words, k, sizeof(*k));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		h ^= words[i];
		h *= UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	return (size_t)h;
}

static struct slot *find(struct usage *u, const struct key *k)
{
	size_t at = hash(k) & (u->cap - 1);

	while (
	    u->slots[at].used && memcmp(&u->slots[at].key, k, sizeof(*k)) != 0)
		at = (at + 1) & (u->cap - 1);
	return &u->slots[at];
}

static void grow(struct usage *u)
{
	const struct usage old = *u;

	allocate(u, old.cap * 2);
	for (size_t i = 0; i < old.cap; i++) {
		if (!old.slots[i].used)
			continue;
		*find(u, &old.slots[i].key) = old.slots[i];
		u->n++;
	}
	free(old.slots);
	free(old.order);
}

static int64_t *sums_of(struct usage *u, enum kind kind, uint32_t a, int64_t b,
    struct span text)
{
	struct key k;

	memset(&k, 0, sizeof(k));
	k.kind = kind;
	k.a = a;
	k.b = b;
	memcpy(k.text, text.p, size_min(text.n, sizeof(k.text) - 1));
	if (u->n >= u->cap / 2)
		grow(u);

	struct slot *s = find(u, &k);

	if (!s->used) {
		s->used = true;
		s->key = k;
		memset(s->sums, 0, sizeof(s->sums));
		u->n++;
	}
	return s->sums;
}

static int64_t day_of(wall_t at)
{
	return at / DAY_MS - (at % DAY_MS < 0);
}

void usage_count(struct usage *u, const struct usage_file *f, int sign)
{
	const struct span none = { "", 0 };
	const int64_t day = day_of(f->created);
	int64_t *s = NULL;

	for (enum kind kind = KIND_DAY; kind < KIND_COUNT; kind++) {
		switch (kind) {
		case KIND_DAY:
			s = sums_of(u, kind, f->path, day, f->ext);
			break;
		case KIND_SIZE:
			s = sums_of(u, kind, usage_class(f->size), 0, none);
			break;
		case KIND_DIR:
			s = sums_of(u, kind, f->path, f->dir, none);
			break;
		default:
			s = sums_of(u, kind, 0, day, f->client);
		}
		s[0] += sign;
		s[1] += sign * (int64_t)f->size;
	}
}

void usage_act(struct usage *u, struct span client, wall_t at,
    const struct usage_acts *acts)
{
	int64_t *s = sums_of(u, KIND_CLIENT, 0, day_of(at), client);

	s[2] += acts->uploads;
	s[3] += acts->upload_bytes;
	s[4] += acts->changes;
	s[5] += acts->change_bytes;
	s[6] += acts->others;
	s[7] += acts->deletes;
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = &(*(struct slot *const *)a)->key;
	const struct key *y = &(*(struct slot *const *)b)->key;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;

	const int text = strcmp(x->text, y->text);

	if (text)
		return text;
	return (x->b > y->b) - (x->b < y->b);
}

#define MOVED "files = files + excluded.files, bytes = bytes + excluded.bytes"

/* How a sum becomes a row: ?1 a, ?2 b, ?3 text, from ?4 the sums. */
static const struct {
	const char *add;
	const char *drop; /* rows in which nothing is left */
	size_t sums;
} tables[KIND_COUNT] = {
	[KIND_DAY] = { "INSERT INTO usage_day (path, ext, day, files, bytes) "
	               "VALUES (?1, ?3, ?2, ?4, ?5) "
	               "ON CONFLICT (path, ext, day) DO UPDATE SET " MOVED,
	    "DELETE FROM usage_day WHERE path = ?1 AND ext = ?3 AND day = ?2 "
	    "AND files = 0",
	    2 },
	[KIND_SIZE] = { "INSERT INTO usage_size (class, files, bytes) "
	                "VALUES (?1, ?4, ?5) "
	                "ON CONFLICT (class) DO UPDATE SET " MOVED,
	    "DELETE FROM usage_size WHERE class = ?1 AND files = 0", 2 },
	[KIND_DIR] = { "INSERT INTO usage_dir (path, dir, files, bytes) "
	               "VALUES (?1, ?2, ?4, ?5) "
	               "ON CONFLICT (path, dir) DO UPDATE SET " MOVED,
	    "DELETE FROM usage_dir WHERE path = ?1 AND dir = ?2 AND files = 0",
	    2 },
	[KIND_CLIENT] = { "INSERT INTO usage_client (client, day, files, "
	                  "bytes, uploads, upload_bytes, changes, "
	                  "change_bytes, others, deletes) VALUES (?3, ?2, ?4, "
	                  "?5, ?6, ?7, ?8, ?9, ?10, ?11) "
	                  "ON CONFLICT (client, day) DO UPDATE SET " MOVED
	                  ", uploads = uploads + excluded.uploads, "
	                  "upload_bytes = upload_bytes + "
	                  "excluded.upload_bytes, "
	                  "changes = changes + excluded.changes, "
	                  "change_bytes = change_bytes + "
	                  "excluded.change_bytes, "
	                  "others = others + excluded.others, "
	                  "deletes = deletes + excluded.deletes",
	    "DELETE FROM usage_client WHERE client = ?3 AND day = ?2 "
	    "AND files = 0 AND uploads = 0 AND changes = 0 AND others = 0 "
	    "AND deletes = 0",
	    SUMS },
};

static int run_with(struct db *db, const char *sql, const struct slot *s,
    size_t sums)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, s->key.a);
	sqlite3_bind_int64(st, 2, s->key.b);
	db_bind_text(st, 3, s->key.text);
	for (size_t i = 0; i < sums; i++)
		sqlite3_bind_int64(st, (int)i + 4, s->sums[i]);
	return db_run(st);
}

static bool is_nothing(const struct slot *s)
{
	for (size_t i = 0; i < SUMS; i++)
		if (s->sums[i])
			return false;
	return true;
}

int usage_flush(struct usage *u, struct db *db)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < u->cap; i++)
		if (u->slots[i].used && !is_nothing(&u->slots[i]))
			u->order[n++] = &u->slots[i];
	qsort(u->order, n, sizeof(struct slot *), by_key);
	for (size_t i = 0; !rc && i < n; i++) {
		const struct slot *s = u->order[i];
		const size_t kind = s->key.kind;

		rc = run_with(db, tables[kind].add, s, tables[kind].sums);
		if (!rc && s->sums[0] < 0)
			rc = run_with(db, tables[kind].drop, s, 0);
	}
	usage_drop(u);
	return rc;
}

void usage_drop(struct usage *u)
{
	if (u->n > 0)
		memset(u->slots, 0, u->cap * sizeof(*u->slots));
	u->n = 0;
}
