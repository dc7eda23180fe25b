/* SPDX-License-Identifier: MIT */
/*
 * A peer's row is a follower's with its other columns. What waits for it is
 * the difference of running totals at two rows; the first operation that waits
 * is the first row whose total is above that at the cursor, and as totals only
 * grow it is found by halving: twenty looks in a log of a million rows, however
 * many of them came from peers.
 */
#include "meta/peers.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

static const char *const phase_names[] = {
	[PEER_DOWN] = "down",
	[PEER_WAIT] = "wait",
	[PEER_FILL] = "fill",
	[PEER_LOG] = "log",
	[PEER_SYNCED] = "synced",
};

const char *peer_phase_name(enum peer_phase p)
{
	return (size_t)p < ARRAY_LEN(phase_names) ? phase_names[p] : "?";
}

static enum peer_phase phase_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(phase_names); i++)
		if (strcmp(phase_names[i], name) == 0)
			return (enum peer_phase)i;
	return PEER_DOWN;
}

static int failed(struct db *db)
{
	return db_errno(sqlite3_errcode(db->h));
}

/* --- rows ---------------------------------------------------------------- */

#define PEER_COLUMNS                                                         \
	"name, seq, moved_ms, error, error_text, error_ms, address, state, " \
	"state_ms, source, until, filled, fill_after, fill_files, "          \
	"fill_files_all, fill_bytes, fill_bytes_all, sent_ops, sent_bytes, " \
	"rate_ops, rate_bytes, errors"

int peers_put(struct db *db, const struct peer_row *p)
{
	/* not REPLACE, which would take what is parked along */
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO follower (" PEER_COLUMNS ") VALUES (?1, ?2, ?3, ?4, "
	    "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
	    "?19, ?20, ?21, ?22) ON CONFLICT (name) DO UPDATE SET "
	    "(" PEER_COLUMNS ") = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
	    "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)");

	if (!st)
		return failed(db);
	db_bind_text(st, 1, p->id);
	db_bind_u64(st, 2, p->seq);
	sqlite3_bind_int64(st, 3, p->moved);
	sqlite3_bind_int(st, 4, p->error);
	if (p->error_text[0])
		db_bind_text(st, 5, p->error_text);
	else
		sqlite3_bind_null(st, 5);
	if (p->error_at)
		sqlite3_bind_int64(st, 6, p->error_at);
	else
		sqlite3_bind_null(st, 6);
	db_bind_text(st, 7, p->address);
	db_bind_text(st, 8, peer_phase_name(p->phase));
	sqlite3_bind_int64(st, 9, p->phase_since);
	sqlite3_bind_int(st, 10, p->source);
	sqlite3_bind_int64(st, 11, p->until);
	sqlite3_bind_int(st, 12, p->filled);
	db_bind_text(st, 13, p->fill_after);
	db_bind_u64(st, 14, p->fill_files);
	db_bind_u64(st, 15, p->fill_files_all);
	db_bind_u64(st, 16, p->fill_bytes);
	db_bind_u64(st, 17, p->fill_bytes_all);
	db_bind_u64(st, 18, p->sent_ops);
	db_bind_u64(st, 19, p->sent_bytes);
	db_bind_u64(st, 20, p->rate_ops);
	db_bind_u64(st, 21, p->rate_bytes);
	db_bind_u64(st, 22, p->errors);
	return db_run(st);
}

static uint64_t column_u64(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

static void peer_of_row(sqlite3_stmt *st, struct peer_row *p)
{
	memset(p, 0, sizeof(*p));
	db_col_copy(st, 0, p->id, sizeof(p->id));
	p->seq = column_u64(st, 1);
	p->moved = sqlite3_column_int64(st, 2);
	p->error = sqlite3_column_int(st, 3);
	db_col_copy(st, 4, p->error_text, sizeof(p->error_text));
	p->error_at = sqlite3_column_int64(st, 5);
	db_col_copy(st, 6, p->address, sizeof(p->address));
	p->phase = phase_of(db_col_text(st, 7));
	p->phase_since = sqlite3_column_int64(st, 8);
	p->source = sqlite3_column_int(st, 9) != 0;
	p->until = sqlite3_column_int64(st, 10);
	p->filled = sqlite3_column_int(st, 11) != 0;
	db_col_copy(st, 12, p->fill_after, sizeof(p->fill_after));
	p->fill_files = column_u64(st, 13);
	p->fill_files_all = column_u64(st, 14);
	p->fill_bytes = column_u64(st, 15);
	p->fill_bytes_all = column_u64(st, 16);
	p->sent_ops = column_u64(st, 17);
	p->sent_bytes = column_u64(st, 18);
	p->rate_ops = column_u64(st, 19);
	p->rate_bytes = column_u64(st, 20);
	p->errors = column_u64(st, 21);
}

int peers_get(struct db *db, const char *id, struct peer_row *out)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT " PEER_COLUMNS
	    " FROM follower WHERE name = ?1 AND name <> 'catalogue'");

	if (!st)
		return failed(db);
	db_bind_text(st, 1, id);

	const int rc = db_step(st);

	if (rc != 1)
		return rc ? rc : -ENOENT;
	peer_of_row(st, out);
	sqlite3_reset(st);
	return 0;
}

int peers_each(struct db *db, int (*each)(void *arg, const struct peer_row *p),
    void *arg)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT " PEER_COLUMNS
	    " FROM follower WHERE name <> 'catalogue' ORDER BY name");
	int n = 0;
	int rc;

	if (!st)
		return failed(db);
	while ((rc = db_step(st)) == 1) {
		struct peer_row p;

		peer_of_row(st, &p);
		n++;
		rc = each(arg, &p);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : n;
		}
	}
	return rc < 0 ? rc : n;
}

/* A statement whose parameters are texts. */
static int run_texts(struct db *db, const char *sql, const char *a,
    const char *b)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return failed(db);
	db_bind_text(st, 1, a);
	if (b)
		db_bind_text(st, 2, b);
	return db_run(st);
}

int peers_drop(struct db *db, const char *id)
{
	return run_texts(db, "DELETE FROM follower WHERE name = ?1", id, NULL);
}

/* The new name is known already: what either of them lacks, it lacks. */
static int merge(struct db *db, const char *from, const char *to)
{
	int rc = run_texts(db,
	    "UPDATE follower SET seq = min(seq, (SELECT seq FROM follower "
	    "WHERE name = ?1)) WHERE name = ?2",
	    from, to);

	if (!rc)
		rc = run_texts(db,
		    "UPDATE OR IGNORE parked SET follower = ?2 "
		    "WHERE follower = ?1",
		    from, to);
	return rc ? rc : peers_drop(db, from);
}

int peers_rename(struct db *db, const char *from, const char *to)
{
	struct peer_row row;
	int rc = peers_get(db, from, &row);

	if (rc || strcmp(from, to) == 0)
		return rc;
	rc = peers_get(db, to, &row);
	if (rc == 0)
		return merge(db, from, to);
	if (rc != -ENOENT)
		return rc;
	return run_texts(db, "UPDATE follower SET name = ?2 WHERE name = ?1",
	    from, to);
}

/* --- what one could not take --------------------------------------------- */

#define PARKED_COLUMNS                                                     \
	"follower, name, seq, op, source_time, error, error_text, tries, " \
	"since_ms, next_ms"

int parked_put(struct db *db, const struct parked_row *p)
{
	sqlite3_stmt *st = db_stmt(db,
	    "INSERT INTO parked (" PARKED_COLUMNS ") VALUES (?1, ?2, ?3, ?4, "
	    "?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (follower, name) DO UPDATE "
	    "SET op = ?4, source_time = ?5, error = ?6, error_text = ?7, "
	    "tries = ?8, next_ms = ?10");
	const char op = (char)p->op;

	if (!st)
		return failed(db);
	db_bind_text(st, 1, p->follower);
	db_bind_text(st, 2, p->name);
	db_bind_u64(st, 3, p->seq);
	sqlite3_bind_text(st, 4, &op, 1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, p->source_time);
	sqlite3_bind_int(st, 6, p->error);
	db_bind_text(st, 7, p->error_text);
	sqlite3_bind_int64(st, 8, p->tries);
	sqlite3_bind_int64(st, 9, p->since);
	sqlite3_bind_int64(st, 10, p->next);
	return db_run(st);
}

int parked_drop(struct db *db, const char *follower, const char *name)
{
	return run_texts(db,
	    "DELETE FROM parked WHERE follower = ?1 AND name = ?2", follower,
	    name);
}

static void parked_of_row(sqlite3_stmt *st, struct parked_row *p)
{
	const struct span op = db_col_span(st, 3);

	memset(p, 0, sizeof(*p));
	db_col_copy(st, 0, p->follower, sizeof(p->follower));
	db_col_copy(st, 1, p->name, sizeof(p->name));
	p->seq = column_u64(st, 2);
	p->op = (enum op_code)(op.n ? op.p[0] : 0);
	p->source_time = sqlite3_column_int64(st, 4);
	p->error = sqlite3_column_int(st, 5);
	db_col_copy(st, 6, p->error_text, sizeof(p->error_text));
	p->tries = (uint32_t)sqlite3_column_int64(st, 7);
	p->since = sqlite3_column_int64(st, 8);
	p->next = sqlite3_column_int64(st, 9);
}

bool parked_is_due(wall_t next, wall_t now)
{
	return next <= now || next > now + PARKED_WAIT_MAX;
}

int parked_each(struct db *db, const char *follower, wall_t due, size_t max,
    int (*each)(void *arg, const struct parked_row *p), void *arg)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT " PARKED_COLUMNS " FROM parked WHERE follower = ?1 "
	    "AND (?2 = 0 OR next_ms <= ?2 OR next_ms > ?2 + ?4) "
	    "ORDER BY next_ms, name LIMIT ?3");
	int n = 0;
	int rc;

	if (!st)
		return failed(db);
	db_bind_text(st, 1, follower);
	sqlite3_bind_int64(st, 2, due);
	db_bind_u64(st, 3, max);
	sqlite3_bind_int64(st, 4, PARKED_WAIT_MAX);
	while ((rc = db_step(st)) == 1) {
		struct parked_row p;

		parked_of_row(st, &p);
		n++;
		rc = each(arg, &p);
		if (rc) {
			sqlite3_reset(st);
			return rc < 0 ? rc : n;
		}
	}
	return rc < 0 ? rc : n;
}

int parked_count(struct db *db, const char *follower, uint64_t *n,
    int64_t *first_time)
{
	sqlite3_stmt *st =
	    db_stmt(db, "SELECT count(*), coalesce(min(source_time), 0) "
	                "FROM parked WHERE follower = ?1");

	*n = 0;
	*first_time = 0;
	if (!st)
		return failed(db);
	db_bind_text(st, 1, follower);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*n = column_u64(st, 0);
	*first_time = sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

/* --- what waits ---------------------------------------------------------- */

struct place {
	uint64_t seq, ops, bytes;
};

/* The row that sql finds for seq. 1, 0 none, or -errno. */
static int place_of(struct db *db, const char *sql, uint64_t seq,
    struct place *out)
{
	sqlite3_stmt *st = db_stmt(db, sql);

	if (!st)
		return failed(db);
	db_bind_u64(st, 1, seq);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	out->seq = column_u64(st, 0);
	out->ops = column_u64(st, 1);
	out->bytes = column_u64(st, 2);
	sqlite3_reset(st);
	return 1;
}

static int place_at(struct db *db, uint64_t seq, struct place *out)
{
	return place_of(db,
	    "SELECT seq, own_total, own_bytes FROM operation WHERE seq <= ?1 "
	    "ORDER BY seq DESC LIMIT 1",
	    seq, out);
}

/* Totals at the cursor. When its row and those before were trimmed, they are
 * those of the first row without what it adds itself. */
static int place_of_cursor(struct db *db, uint64_t seq, struct place *out)
{
	const int rc = place_at(db, seq, out);

	if (rc)
		return rc;
	return place_of(db,
	    "SELECT seq - 1, own_total - (replica = 0), "
	    "own_bytes - bytes * (replica = 0) FROM operation WHERE seq > ?1 "
	    "ORDER BY seq LIMIT 1",
	    seq, out);
}

/* When the first row with a total above `here` was recorded. */
static int oldest_after(struct db *db, const struct place *here, uint64_t last,
    wall_t *out)
{
	uint64_t low = here->seq; /* its total is not above */
	uint64_t high = last;     /* its total is */

	while (high - low > 1) {
		const uint64_t middle = low + (high - low) / 2;
		struct place p = *here;
		const int rc = place_at(db, middle, &p);

		if (rc < 0)
			return rc;
		if (p.ops > here->ops)
			high = middle;
		else
			low = middle;
	}

	sqlite3_stmt *st =
	    db_stmt(db, "SELECT at_ms FROM operation WHERE seq = ?1");

	if (!st)
		return failed(db);
	db_bind_u64(st, 1, high);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static int names_after(struct db *db, uint64_t seq, uint64_t *files)
{
	sqlite3_stmt *st = db_stmt(db,
	    "SELECT count(DISTINCT name) FROM operation WHERE seq > ?1 "
	    "AND replica = 0");

	if (!st)
		return failed(db);
	db_bind_u64(st, 1, seq);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	*files = column_u64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static uint64_t rest(uint64_t all, uint64_t done)
{
	return all > done ? all - done : 0;
}

static void add_fill(const struct peer_row *p, struct peer_backlog *out)
{
	const uint64_t files = rest(p->fill_files_all, p->fill_files);

	if (p->filled)
		return;
	out->ops += files;
	out->files += files;
	out->bytes += rest(p->fill_bytes_all, p->fill_bytes);
}

static int read_backlog(struct db *db, const struct peer_row *p,
    bool count_files, struct peer_backlog *out)
{
	struct place here = { 0, 0, 0 };
	struct place last = { 0, 0, 0 };
	int rc = place_of_cursor(db, p->seq, &here);

	if (rc == 1)
		rc = place_at(db, INT64_MAX, &last);
	if (rc < 0)
		return rc;
	if (rc == 0 || last.ops <= here.ops)
		return 0;
	out->ops = last.ops - here.ops;
	out->bytes = last.bytes - here.bytes;
	rc = oldest_after(db, &here, last.seq, &out->oldest);
	if (!rc && count_files)
		rc = names_after(db, p->seq, &out->files);
	return rc;
}

int peers_backlog(struct db *db, const struct peer_row *p, bool count_files,
    struct peer_backlog *out)
{
	/* one snapshot, unless the caller has one */
	const bool ours = sqlite3_get_autocommit(db->h) != 0;
	int rc = ours ? db_run(db_stmt(db, "BEGIN")) : 0;

	memset(out, 0, sizeof(*out));
	if (rc)
		return rc;
	rc = read_backlog(db, p, count_files, out);
	if (ours)
		db_run(db_stmt(db, "COMMIT"));
	add_fill(p, out);
	return rc;
}
