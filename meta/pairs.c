/* SPDX-License-Identifier: MIT */
#include "meta/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/db_impl.h"

#define ARRIVAL_MS INT64_C(60000)

/* Set by the storage when it has found out who it is. */
#define MARK_GROUP "identity_group"
#define MARK_ID    "identity_own_id"
#define MARK_IPS   "identity_ips"
#define MARK_STATE "state" /* "clean": stopped */

static int failed(struct db *db)
{
	return db_errno(sqlite3_errcode(db->h));
}

/* Without storage ids a storage is called by its address. */
void pairs_owner(struct db *log, struct pair *p)
{
	char ips[128] = "";
	char state[16] = "";

	(void)db_mark_get(log, MARK_STATE, state, sizeof(state));
	p->stopped = strcmp(state, "clean") == 0;
	(void)db_mark_get(log, MARK_GROUP, p->group, sizeof(p->group));
	(void)db_mark_get(log, MARK_ID, p->from, sizeof(p->from));
	if (p->from[0] || db_mark_get(log, MARK_IPS, ips, sizeof(ips)) != 0)
		return;
	ips[strcspn(ips, ", ")] = '\0';
	(void)str_copy(p->from, sizeof(p->from), ips);
}

/* A number of the row that sql finds, 0 when there is none. */
static int number_of(struct db *db, const char *sql, int64_t at, int64_t *out)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	*out = 0;
	if (!st)
		return failed(db);
	sqlite3_bind_int64(st, 1, at);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 1;
}

/* Own bytes a second in the last minute. Times of the log rise, as far as the
 * clock does, so the row of a minute ago is found by halving. */
static int read_arrival(struct db *log, wall_t now, uint64_t *out)
{
	static const char at_or_after[] =
	    "SELECT at_ms FROM operation WHERE seq >= ?1 ORDER BY seq LIMIT 1";
	static const char before[] =
	    "SELECT own_bytes FROM operation WHERE seq <= ?1 "
	    "ORDER BY seq DESC LIMIT 1";
	int64_t low = 0;  /* at it: older than a minute, or not there */
	int64_t high = 0; /* at it: younger, or behind the last */
	int64_t at = 0;
	int64_t old = 0;
	int64_t last = 0;
	int rc = number_of(log,
	    "SELECT max(seq) + 1 FROM operation WHERE ?1 = 0", 0, &high);

	while (rc >= 0 && high - low > 1) {
		const int64_t middle = low + (high - low) / 2;

		rc = number_of(log, at_or_after, middle, &at);
		if (rc == 1 && at < now - ARRIVAL_MS)
			low = middle;
		else
			high = middle;
	}
	if (rc >= 0)
		rc = number_of(log, before, INT64_MAX, &last);
	if (rc >= 0)
		rc = number_of(log, before, low, &old);
	/* nothing before it in the log: what the first row counts from */
	if (rc == 0)
		rc = number_of(log,
		    "SELECT own_bytes - bytes * (replica = 0) FROM operation "
		    "WHERE seq > ?1 ORDER BY seq LIMIT 1",
		    low, &old);
	*out = last > old ? (uint64_t)(last - old) * 1000 / ARRIVAL_MS : 0;
	return rc < 0 ? rc : 0;
}

struct reading {
	struct db *log;
	struct pair pair;
	int (*each)(void *arg, const struct pair *p);
	void *arg;
};

static int read_one(void *arg, const struct peer_row *row)
{
	struct reading *r = arg;
	struct pair *p = &r->pair;
	int rc;

	p->peer = *row;
	rc = peers_backlog(r->log, row, false, &p->backlog);
	if (!rc)
		rc =
		    parked_count(r->log, row->id, &p->parked, &p->parked_first);
	return rc ? rc : r->each(r->arg, p);
}

static int read_pairs(struct reading *r, wall_t now)
{
	int64_t version = 0;
	int rc = db_number(r->log, "PRAGMA user_version", &version);

	if (!rc && version < 2)
		return -ENOTSUP;
	pairs_owner(r->log, &r->pair);
	if (!rc)
		rc = read_arrival(r->log, now, &r->pair.arrival);
	return rc ? rc : peers_each(r->log, read_one, r);
}

int pairs_each(struct db *log, wall_t now,
    int (*each)(void *arg, const struct pair *p), void *arg)
{
	struct reading r = { .log = log, .each = each, .arg = arg };
	int rc = db_begin(log);

	if (rc)
		return rc;
	rc = read_pairs(&r, now);
	db_rollback(log);
	return rc;
}

/* --- files --------------------------------------------------------------- */

struct listing {
	int (*each)(void *arg, const struct pair_file *f);
	void *arg;
	int n;
	bool enough;
};

static int give(struct listing *l, const struct pair_file *f)
{
	const int rc = l->each(l->arg, f);

	l->n++;
	l->enough = rc != 0;
	return rc;
}

static int give_parked(void *arg, const struct parked_row *p)
{
	const struct pair_file f = { .name = p->name,
		.op = p->op,
		.at = p->source_time * 1000,
		.parked = true,
		.error = p->error_text,
		.tries = p->tries,
		.next = p->next };

	return give(arg, &f);
}

static enum op_code op_of(sqlite3_stmt *st, int at)
{
	const struct span s = db_col_span(st, at);

	return (enum op_code)(s.n ? s.p[0] : 0);
}

/* -1 is no limit in SQL. */
static int64_t limit_of(size_t n)
{
	return n > 0 && n < INT64_MAX ? (int64_t)n : -1;
}

static int list_log(struct db *log, uint64_t after, size_t scan, size_t max,
    struct listing *l)
{
	sqlite3_stmt *st = db_stmt(log,
	    "WITH w AS (SELECT name, min(seq) AS a, max(seq) AS b, "
	    "count(*) AS n, sum(bytes) AS bytes FROM (SELECT name, seq, bytes "
	    "FROM operation WHERE seq > ?1 AND replica = 0 ORDER BY seq "
	    "LIMIT ?2) GROUP BY name) "
	    "SELECT w.name, f.op, l.op, f.at_ms, l.size, w.bytes, w.n FROM w "
	    "JOIN operation f ON f.seq = w.a JOIN operation l ON l.seq = w.b "
	    "ORDER BY w.a LIMIT ?3");
	int rc;

	if (!st)
		return failed(log);
	db_bind_u64(st, 1, after);
	sqlite3_bind_int64(st, 2, limit_of(scan));
	sqlite3_bind_int64(st, 3, limit_of(max));
	while ((rc = db_step(st)) == 1) {
		const enum op_code last = op_of(st, 2);
		const struct pair_file f = { .name = db_col_text(st, 0),
			.op = last == OP_DELETE ? last : op_of(st, 1),
			.at = sqlite3_column_int64(st, 3),
			.size = (uint64_t)sqlite3_column_int64(st, 4),
			.bytes = (uint64_t)sqlite3_column_int64(st, 5),
			.ops = (uint64_t)sqlite3_column_int64(st, 6) };

		rc = give(l, &f);
		if (rc) {
			sqlite3_reset(st);
			break;
		}
	}
	return rc < 0 ? rc : 0;
}

int pairs_files(struct db *log, const char *peer, size_t scan, size_t max,
    int (*each)(void *arg, const struct pair_file *f), void *arg)
{
	struct listing l = { .each = each, .arg = arg };
	struct peer_row row;
	int rc = peers_get(log, peer, &row);

	if (!rc)
		rc = parked_each(log, peer, 0, max > 0 ? max : INT64_MAX,
		    give_parked, &l);
	if (rc < 0)
		return rc;
	if (!l.enough && (max == 0 || (size_t)l.n < max))
		rc = list_log(log, row.seq, scan,
		    max > 0 ? max - (size_t)l.n : 0, &l);
	return rc < 0 ? rc : l.n;
}

/* --- in words ------------------------------------------------------------ */

int64_t pairs_drained(uint64_t bytes, uint64_t sent, uint64_t arrival)
{
	if (bytes == 0)
		return 0;
	if (sent <= arrival)
		return -1;
	return (int64_t)(bytes / (sent - arrival)) + 1;
}

static void add(struct strbuf *b, const char *text)
{
	strbuf_addf(b, "%s%s", b->len > 0 ? "; " : "", text);
}

static void say_fill(const struct peer_row *r, struct strbuf *b)
{
	uint64_t done = r->fill_bytes;
	uint64_t all = r->fill_bytes_all;

	if (all == 0) {
		done = r->fill_files;
		all = r->fill_files_all;
	}
	add(b, "first copy");
	if (all > 0)
		strbuf_addf(b, ", %u %%",
		    done < all ? (unsigned)((double)done / (double)all * 100)
		               : 100U);
}

/* An error since it waits is why (storaged/peer_session.c). */
static bool waits_for_disk(const struct peer_row *r)
{
	return r->error_text[0] && r->error_at >= r->phase_since;
}

/* It tries, and the last thing that happened is an error. */
static bool is_stuck(const struct pair *p)
{
	const struct peer_row *r = &p->peer;

	return (r->phase == PEER_FILL || r->phase == PEER_LOG) && !p->stopped &&
	       p->parked == 0 && r->error_text[0] && r->error_at > r->moved;
}

const char *pairs_why(const struct pair *p, char *buf, size_t cap)
{
	struct strbuf b = strbuf_over(buf, cap);
	const struct peer_row *r = &p->peer;

	buf[0] = '\0';
	if (r->phase == PEER_FILL || (!r->filled && r->fill_files_all > 0))
		say_fill(r, &b);
	if (p->stopped)
		add(&b, "the sender is stopped");
	else if (r->phase == PEER_DOWN)
		add(&b, "not connected");
	else if (r->phase == PEER_WAIT && waits_for_disk(r))
		add(&b, r->error_text);
	else if (r->phase == PEER_WAIT)
		add(&b, "its state does not allow sending");
	if (!p->stopped && r->phase == PEER_DOWN && r->error_text[0])
		strbuf_addf(&b, ": %s", r->error_text);
	if (p->parked > 0)
		strbuf_addf(&b, "%s%llu parked", b.len > 0 ? "; " : "",
		    (unsigned long long)p->parked);
	if (p->parked > 0 && r->phase != PEER_DOWN && r->error_text[0])
		strbuf_addf(&b, ": %s", r->error_text);
	if (is_stuck(p))
		add(&b, r->error_text);
	return buf;
}
