/* SPDX-License-Identifier: MIT */
/*
 * What each operation does to `file`, `attr`, `tombstone` and the roll-ups.
 *
 * Applying an operation twice must not count twice. The cursor sees to it when
 * the catalogue follows; when the log is replayed over files that adopt found
 * on disk, each operation sets what it says, and the last one leaves the row as
 * the disk has it, whatever stood there before. Operations of which the row
 * says that it has had them are passed over.
 */
#include "meta/apply.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"
#include "meta/db_impl.h"

#define TYPE_NORMAL 0
#define TYPE_SLAVE  2
#define TYPE_LINK   4
#define KEY_MAX     64
#define VALUE_MAX   256

/* A row of file, as far as applying needs it. */
struct row {
	int64_t id;
	uint64_t last_seq;
	struct usage_file u; /* spans point into the texts below */
	char ext[16];
	char client[48];
};

/* What will stand in a row. crc < 0: not known. */
struct values {
	struct span name;
	struct name_facts facts;
	unsigned dir;
	uint64_t size;
	int64_t crc;
	wall_t created;
	wall_t modified;
	struct span client;
	uint64_t last_seq;
};

/* --- rows ---------------------------------------------------------------- */

/* 1 found, 0 not there, or -errno. */
static int load_row(struct apply *a, struct span name, struct row *r)
{
	sqlite3_stmt *st = db_stmt(a->db,
	    "SELECT id, last_seq, path, dir, ext, client, created_ms, size "
	    "FROM file WHERE name = ?1");

	memset(r, 0, sizeof(*r));
	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	db_bind_span(st, 1, name);

	const int rc = db_step(st);

	if (rc != 1)
		return rc;
	r->id = sqlite3_column_int64(st, 0);
	r->last_seq = (uint64_t)sqlite3_column_int64(st, 1);
	r->u.path = (unsigned)sqlite3_column_int(st, 2);
	r->u.dir = (unsigned)sqlite3_column_int(st, 3);
	db_col_copy(st, 4, r->ext, sizeof(r->ext));
	db_col_copy(st, 5, r->client, sizeof(r->client));
	r->u.created = sqlite3_column_int64(st, 6);
	r->u.size = (uint64_t)sqlite3_column_int64(st, 7);
	r->u.ext = span_of(r->ext);
	r->u.client = span_of(r->client);
	sqlite3_reset(st);
	return 1;
}

static void bind_values(sqlite3_stmt *st, int64_t id, const struct values *v)
{
	sqlite3_bind_int64(st, 1, id);
	db_bind_span(st, 2, v->name);
	sqlite3_bind_int64(st, 3, v->facts.path);
	sqlite3_bind_int64(st, 4, v->dir);
	db_bind_u64(st, 5, v->size);
	if (v->crc < 0)
		sqlite3_bind_null(st, 6);
	else
		sqlite3_bind_int64(st, 6, v->crc);
	sqlite3_bind_int64(st, 7, v->created);
	sqlite3_bind_int64(st, 8, v->modified);
	sqlite3_bind_int(st, 9, v->facts.type);
	db_bind_text(st, 10, v->facts.ext);
	db_bind_text(st, 11, v->facts.source);
	db_bind_span(st, 12, v->client);
	db_bind_u64(st, 13, v->last_seq);
}

static void count_values(struct apply *a, const struct values *v, int sign)
{
	const struct usage_file u = { .path = v->facts.path,
		.dir = v->dir,
		.ext = span_of(v->facts.ext),
		.client = v->client,
		.created = v->created,
		.size = v->size };

	usage_count(a->usage, &u, sign);
}

/* 1 inserted, 0 the name is there already, or -errno. */
static int insert_row(struct apply *a, int64_t id, const struct values *v)
{
	sqlite3_stmt *st = db_stmt(a->db,
	    "INSERT INTO file (id, name, path, dir, size, crc, created_ms, "
	    "modified_ms, type, ext, source, client, last_seq) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
	    "ON CONFLICT (name) DO NOTHING");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	bind_values(st, id, v);
	rc = db_run(st);
	if (rc)
		return rc;
	if (sqlite3_changes(a->db->h) == 0)
		return 0;
	count_values(a, v, 1);
	return 1;
}

/* Everything of row `old` becomes what v says, its id `id`. */
static int replace_row(struct apply *a, const struct row *old, int64_t id,
    const struct values *v)
{
	sqlite3_stmt *st = db_stmt(a->db,
	    "UPDATE file SET id = ?1, name = ?2, path = ?3, dir = ?4, "
	    "size = ?5, crc = ?6, created_ms = ?7, modified_ms = ?8, "
	    "type = ?9, ext = ?10, source = ?11, client = ?12, last_seq = ?13, "
	    "verified_ms = NULL, verify_result = NULL WHERE id = ?14");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	bind_values(st, id, v);
	sqlite3_bind_int64(st, 14, old->id);
	rc = db_run(st);
	if (rc)
		return rc;
	usage_count(a->usage, &old->u, -1);
	count_values(a, v, 1);
	return 0;
}

static int delete_row(struct apply *a, const struct row *r)
{
	sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM file WHERE id = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	sqlite3_bind_int64(st, 1, r->id);
	usage_count(a->usage, &r->u, -1);
	return db_run(st);
}

/* --- what an operation says about a file --------------------------------- */

static wall_t op_time(const struct op *op)
{
	return op->replica ? op->source_time * 1000 : op->at;
}

static unsigned dir_number(const char *dir)
{
	unsigned n = 0;

	for (const char *p = dir; *p; p++) {
		if (*p >= '0' && *p <= '9')
			n = n * 16 + (unsigned)(*p - '0');
		else if (*p >= 'A' && *p <= 'F')
			n = n * 16 + (unsigned)(*p - 'A') + 10;
	}
	return n;
}

/* The time in the name of a slave is its master's. */
static wall_t created_of(const struct name_facts *f, wall_t otherwise)
{
	if (f->created <= 0 || f->type == TYPE_SLAVE ||
	    f->created == otherwise / 1000)
		return otherwise;
	return f->created * 1000;
}

static void read_facts(struct apply *a, struct span name, struct name_facts *f)
{
	memset(f, 0, sizeof(*f));
	if (a->read_name(name, f) != 0)
		memset(f, 0, sizeof(*f));
}

/* The row of a file as it is after op, when op is what made it or when it is
 * all that is known of it. */
static void describe(struct apply *a, const struct op *op, struct values *v)
{
	const bool fresh = op->code == OP_CREATE || op->code == OP_RENAME ||
	                   op->code == OP_LINK;

	memset(v, 0, sizeof(*v));
	v->name = op->name;
	read_facts(a, op->name, &v->facts);
	v->dir = dir_number(v->facts.dir);
	v->size = op->size;
	v->crc = fresh ? (int64_t)op->crc : -1;
	if (v->facts.type == TYPE_NORMAL && v->facts.created > 0 && fresh) {
		v->size = v->facts.size;
		v->crc = v->facts.crc;
	} else if (fresh && op->crc == 0 && op->size > 0) {
		v->crc = -1; /* the peer did not say */
	}
	if (op->code == OP_LINK)
		v->facts.type = TYPE_LINK;
	v->created = created_of(&v->facts, op_time(op));
	v->modified = fresh ? v->created : op_time(op);
	/* A peer sends a file again, whole, when it has changed there. */
	if (fresh && op->replica && op_time(op) > v->modified)
		v->modified = op_time(op);
	v->client = op->replica || !fresh ? (struct span){ "", 0 } : op->client;
	v->last_seq = op->seq;
}

static void count_act(struct apply *a, const struct op *op)
{
	struct usage_acts acts = { 0 };

	if (op->replica)
		return;
	switch (op->code) {
	case OP_CREATE:
		acts.uploads = 1;
		acts.upload_bytes = (int64_t)op->bytes;
		break;
	case OP_APPEND:
	case OP_MODIFY:
	case OP_TRUNCATE:
		acts.changes = 1;
		acts.change_bytes = (int64_t)op->bytes;
		break;
	case OP_DELETE:
		acts.deletes = 1;
		break;
	default:
		acts.others = 1;
	}
	usage_act(a->usage, op->client, op->at, &acts);
}

/* --- operations ---------------------------------------------------------- */

static int create(struct apply *a, const struct op *op)
{
	struct values v;
	struct row old;
	int rc;

	describe(a, op, &v);
	rc = insert_row(a, (int64_t)op->seq, &v);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = load_row(a, op->name, &old);
	if (rc != 1 || old.last_seq >= op->seq)
		return rc < 0 ? rc : 0;
	/* The same file, sent again by a peer: what else is known of it stays.
	 */
	if (op->replica) {
		v.client = old.u.client;
		v.created = old.u.created;
	}
	return replace_row(a, &old, (int64_t)op->seq, &v);
}

static int change(struct apply *a, const struct op *op)
{
	struct row r;
	int rc = load_row(a, op->name, &r);

	if (rc == 0) {
		struct values v;

		a->unknown += !op->replica;
		describe(a, op, &v);
		rc = insert_row(a, (int64_t)op->seq, &v);
		return rc < 0 ? rc : 0;
	}
	if (rc < 0 || r.last_seq >= op->seq)
		return rc < 0 ? rc : 0;

	sqlite3_stmt *st = db_stmt(a->db,
	    "UPDATE file SET size = ?2, modified_ms = ?3, last_seq = ?4, "
	    "crc = NULL, verified_ms = NULL, verify_result = NULL "
	    "WHERE id = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	sqlite3_bind_int64(st, 1, r.id);
	db_bind_u64(st, 2, op->size);
	sqlite3_bind_int64(st, 3, op_time(op));
	db_bind_u64(st, 4, op->seq);
	rc = db_run(st);
	if (rc)
		return rc;
	usage_count(a->usage, &r.u, -1);
	r.u.size = op->size;
	usage_count(a->usage, &r.u, 1);
	return 0;
}

/* Of a file that is not there: what its name says. */
static int bury_unknown(struct apply *a, const struct op *op)
{
	sqlite3_stmt *st = db_stmt(a->db,
	    "INSERT OR IGNORE INTO tombstone (id, name, deleted_ms, "
	    "deleted_by, created_ms, type, ext, source) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
	struct name_facts f;

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	read_facts(a, op->name, &f);
	db_bind_u64(st, 1, op->seq);
	db_bind_span(st, 2, op->name);
	sqlite3_bind_int64(st, 3, op_time(op));
	db_bind_span(st, 4, op->client);
	sqlite3_bind_null(st, 5);
	if (f.created > 0 && f.type != TYPE_SLAVE)
		sqlite3_bind_int64(st, 5, f.created * 1000);
	sqlite3_bind_int(st, 6, f.type);
	db_bind_text(st, 7, f.ext);
	db_bind_text(st, 8, f.source);
	return db_run(st);
}

static int bury(struct apply *a, const struct op *op)
{
	struct row r;
	int rc = load_row(a, op->name, &r);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return bury_unknown(a, op);
	if (r.last_seq >= op->seq)
		return 0;

	sqlite3_stmt *st = db_stmt(a->db,
	    "INSERT OR IGNORE INTO tombstone (id, name, deleted_ms, "
	    "deleted_by, file, size, crc, created_ms, type, ext, source, "
	    "client, orig) SELECT ?1, name, ?2, ?3, id, size, crc, created_ms, "
	    "type, ext, source, client, orig FROM file WHERE id = ?4");

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	db_bind_u64(st, 1, op->seq);
	sqlite3_bind_int64(st, 2, op_time(op));
	db_bind_span(st, 3, op->client);
	sqlite3_bind_int64(st, 4, r.id);
	rc = db_run(st);
	return rc ? rc : delete_row(a, &r);
}

static int set_meta(struct apply *a, const struct op *op)
{
	struct row r;
	int rc = load_row(a, op->name, &r);

	if (rc == 0)
		a->unknown += !op->replica;
	if (rc != 1 || r.last_seq >= op->seq)
		return rc < 0 ? rc : 0;
	rc = apply_attrs(a, r.id, op->extra);
	if (rc)
		return rc;

	sqlite3_stmt *st =
	    db_stmt(a->db, "UPDATE file SET last_seq = ?2 WHERE id = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	sqlite3_bind_int64(st, 1, r.id);
	db_bind_u64(st, 2, op->seq);
	return db_run(st);
}

/* The old row goes on under the new name. When both are there, the new one
 * was found on disk, with its metadata, and the old one is out of date. */
static int rename_file(struct apply *a, const struct op *op)
{
	struct values v;
	struct row old;
	struct row new;
	const int has_old = load_row(a, op->extra, &old);
	const int has_new = has_old < 0 ? has_old : load_row(a, op->name, &new);
	int rc = 0;

	if (has_new < 0)
		return has_new;
	if (has_new && new.last_seq >= op->seq)
		return 0;
	describe(a, op, &v);
	if (has_new) {
		if (has_old)
			rc = delete_row(a, &old);
		v.client = new.u.client;
		return rc ? rc : replace_row(a, &new, new.id, &v);
	}
	if (has_old) {
		v.client = old.u.client;
		return replace_row(a, &old, old.id, &v);
	}
	a->unknown += !op->replica;
	rc = insert_row(a, (int64_t)op->seq, &v);
	return rc < 0 ? rc : 0;
}

int apply_op(struct apply *a, const struct op *op)
{
	count_act(a, op);
	switch (op->code) {
	case OP_CREATE:
	case OP_LINK:
		return create(a, op);
	case OP_APPEND:
	case OP_MODIFY:
	case OP_TRUNCATE:
		return change(a, op);
	case OP_DELETE:
		return bury(a, op);
	case OP_SET_META:
		return set_meta(a, op);
	case OP_RENAME:
		return rename_file(a, op);
	}
	return 0; /* a letter of a later version: nothing to know about it */
}

int apply_found(struct apply *a, const struct found_file *f)
{
	const struct values v = { .name = f->name,
		.facts = f->facts,
		.dir = dir_number(f->facts.dir),
		.size = f->size,
		.crc =
		    f->facts.type == TYPE_NORMAL ? (int64_t)f->facts.crc : -1,
		.created = f->created,
		.modified = f->modified,
		.client = { "", 0 } };
	const int rc = insert_row(a, f->id, &v);

	return rc < 0 ? rc : 0;
}

/* --- metadata ------------------------------------------------------------ */

/* The text up to the separator (or all of it), which moves on behind it. */
static bool cut(struct span *text, char separator, struct span *part)
{
	const char *at = text->n ? memchr(text->p, separator, text->n) : NULL;

	part->p = text->p;
	part->n = at ? (size_t)(at - text->p) : text->n;
	text->p += part->n + (at != NULL);
	text->n -= part->n + (at != NULL);
	return at != NULL;
}

static int insert_attr(struct db *db, int64_t id, struct span key,
    struct span value)
{
	sqlite3_stmt *st =
	    db_stmt(db, "INSERT OR IGNORE INTO attr (file, key, value) "
	                "VALUES (?1, ?2, ?3)");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, id);
	db_bind_span(st, 2, key);
	db_bind_span(st, 3, value);
	return db_run(st);
}

static int set_orig(struct db *db, int64_t id, struct span name)
{
	sqlite3_stmt *st =
	    db_stmt(db, "UPDATE file SET orig = ?2 WHERE id = ?1");

	if (!st)
		return db_errno(sqlite3_errcode(db->h));
	sqlite3_bind_int64(st, 1, id);
	if (name.n > 0)
		db_bind_span(st, 2, name);
	else
		sqlite3_bind_null(st, 2);
	return db_run(st);
}

int apply_attrs(struct apply *a, int64_t id, struct span text)
{
	struct span orig = { "", 0 };
	struct span record;
	sqlite3_stmt *st = db_stmt(a->db, "DELETE FROM attr WHERE file = ?1");
	int rc;

	if (!st)
		return db_errno(sqlite3_errcode(a->db->h));
	sqlite3_bind_int64(st, 1, id);
	rc = db_run(st);
	text.n = text.n ? strnlen(text.p, text.n) : 0;
	while (!rc && text.n > 0) {
		struct span key;

		cut(&text, '\x01', &record);
		if (!cut(&record, '\x02', &key))
			continue;
		key.n = size_min(key.n, KEY_MAX);
		record.n = size_min(record.n, VALUE_MAX);
		rc = insert_attr(a->db, id, key, record);
		if (a->name_key[0] && orig.n == 0 && span_eq(key, a->name_key))
			orig = record;
	}
	if (!rc && a->name_key[0])
		rc = set_orig(a->db, id, orig);
	return rc;
}
