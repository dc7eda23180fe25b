/* SPDX-License-Identifier: MIT */
/*
 * verify: records against files, both ways. Two passes: the first collects
 * names that look wrong, from the rows and from the directories; the second
 * looks at each of them once more, after the catalogue has caught up with the
 * log, so that what changed in between is not reported. Nothing is written.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "cli/dbs.h"
#include "cli/meta.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/stores.h"
#include "cli/verify_peers.h"
#include "proto/fileid.h"
#include "proto/kv.h"

#define CATCH_UP_S  10
#define CONNECTIONS 8
#define META_MAX    ((size_t)1024 * 1024)

struct verify_options {
	struct stores_options stores;
	bool rows;
	bool crc;
	bool peers;
	struct opt_list peer;
	uint64_t connections;
};
static_assert(sizeof(struct verify_options) <= META_OPTIONS_SIZE, "room");

static const struct opt_row rows[] = {
	{ .name = "rows",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct verify_options, rows),
	    .help = "records against files: existence, size, metadata (what "
	            "it does anyway)" },
	{ .name = "crc",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct verify_options, crc),
	    .help = "also read the content and compare its crc32" },
	{ .name = "peers",
	    .type = OPT_FLAG,
	    .offset = offsetof(struct verify_options, peers),
	    .help = "also compare with the other storages of the group, "
	            "which the tracker names" },
	{ .name = "peer",
	    .type = OPT_LIST,
	    .offset = offsetof(struct verify_options, peer),
	    .arg = "HOST:PORT",
	    .help = "also compare with this storage; may be repeated" },
	{ .letter = 'j',
	    .name = "connections",
	    .type = OPT_NUMBER,
	    .offset = offsetof(struct verify_options, connections),
	    .min = 1,
	    .max = VERIFY_CONNS_MAX,
	    .arg = "N",
	    .help = "connections to each of them; 8 when nothing is said" },
};

const struct opt_table meta_verify_table = { "verify", rows, ARRAY_LEN(rows),
	0 };
const struct opt_table meta_verify_stores = { "disks", stores_rows, STORES_ROWS,
	offsetof(struct verify_options, stores) };

enum { COL_STATE, COL_ID, COL_EXPECTED, COL_FOUND, COL_PEER };

static const struct out_column columns[] = {
	{ "state", OUT_TEXT, OUT_KEEP, 0,
	    "missing, unreadable, size, crc, metadata, orphan or "
	    "orphan-meta; at a peer missing, extra, size, crc or metadata" },
	{ "id", OUT_TEXT, OUT_KEEP, 0, "the file" },
	{ "expected", OUT_TEXT, 0, 1, "as recorded" },
	{ "found", OUT_TEXT, 0, 1, "as it is on disk, or at the peer" },
	{ "peer", OUT_TEXT, 0, 2, "the storage where it is so, if another" },
};

static const struct out_layout layout = { "fdfs-meta.verify/1", columns,
	ARRAY_LEN(columns), false, "everything is as recorded" };

struct verify {
	struct cli *cli;
	const struct verify_options *o;
	struct stores stores;
	struct dbs d;
	struct out *out;
	struct progress p;
	char **suspects;
	size_t n_suspects;
	uint64_t records, files, meta, not_ours, trunk;
	uint64_t bad;
	bool net_used;
	struct source net;
	struct verify_peers peers;
};

/* What is wrong with one name. */
struct wrong {
	const char *state; /* NULL: nothing */
	char expected[64];
	char found[64];
};

/* One record, kept past the query. */
struct record {
	bool found;
	int64_t seq;
	uint64_t size;
	bool has_crc;
	uint32_t crc;
	int type;
};

static int keep_record(void *arg, const struct file_row *row)
{
	struct record *r = arg;

	*r = (struct record){ true, row->seq, row->size, row->has_crc, row->crc,
		row->type };
	return 0;
}

static void suspect(struct verify *v, const char *remote)
{
	v->suspects =
	    xrealloc(v->suspects, v->n_suspects + 1, sizeof(*v->suspects));
	v->suspects[v->n_suspects++] = xstrdup(remote);
}

static int crc_of(const char *path, uint32_t *out)
{
	const size_t cap = (size_t)1024 * 1024;
	FILE *f = fopen(path, "re");
	char *block;
	size_t n;
	int rc = 0;

	if (!f)
		return -errno;
	block = xcalloc(1, cap);
	*out = 0;
	while ((n = fread(block, 1, cap, f)) > 0 && !stop_asked())
		*out = sum_crc32(*out, block, n);
	if (ferror(f))
		rc = -EIO;
	free(block);
	fclose(f);
	return rc;
}

/* Metadata of the record beside that of the file: the records hold one value
 * for each key, the file may repeat a key. */
struct compare {
	const struct kv_list *on_disk;
	size_t keys;
	bool differs;
};

static int compare_attr(void *arg, const char *key, const char *value)
{
	struct compare *c = arg;
	bool same = false;

	c->keys++;
	for (size_t i = 0; i < c->on_disk->n; i++)
		same = same || (span_eq(c->on_disk->items[i].name, key) &&
		                   span_eq(c->on_disk->items[i].value, value));
	c->differs = c->differs || !same;
	return 0;
}

static size_t distinct_keys(const struct kv_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		size_t k = 0;

		while (
		    k < i && !(l->items[k].name.n == l->items[i].name.n &&
		                 memcmp(l->items[k].name.p, l->items[i].name.p,
		                     l->items[i].name.n) == 0))
			k++;
		n += k == i;
	}
	return n;
}

static void check_meta(struct verify *v, const struct record *r,
    const char *remote, struct wrong *w)
{
	char path[4096];
	char *text = NULL;
	struct kv_list l = { NULL, 0 };
	struct compare c = { &l, 0, false };
	ssize_t n = -ENOENT;

	if (stores_path(&v->stores, remote, true, path, sizeof(path)) == 0)
		n = fs_read_file(path, META_MAX, &text);
	if (n >= 0 && kv_parse((struct span){ text, (size_t)n }, &l) < 0)
		l = (struct kv_list){ NULL, 0 };
	if (query_attrs(v->d.catalogue, r->seq, compare_attr, &c) >= 0 &&
	    (c.differs || c.keys != distinct_keys(&l))) {
		w->state = "metadata";
		snprintf(w->expected, sizeof(w->expected), "%zu keys", c.keys);
		snprintf(w->found, sizeof(w->found),
		    n < 0 ? "no metadata file" : "%zu keys", distinct_keys(&l));
	}
	kv_list_fini(&l);
	free(text);
}

static void check_content(struct verify *v, const struct record *r,
    const char *path, const struct stat *st, struct wrong *w)
{
	uint32_t crc = 0;

	if ((uint64_t)st->st_size != r->size) {
		w->state = "size";
		snprintf(w->expected, sizeof(w->expected), "%" PRIu64, r->size);
		snprintf(w->found, sizeof(w->found), "%lld",
		    (long long)st->st_size);
		return;
	}
	if (!v->o->crc || !r->has_crc || stop_asked())
		return;
	if (crc_of(path, &crc) < 0) {
		w->state = "crc";
		str_copy(w->found, sizeof(w->found), "cannot be read");
	} else if (crc != r->crc && !stop_asked()) {
		w->state = "crc";
		snprintf(w->expected, sizeof(w->expected), "%08x", r->crc);
		snprintf(w->found, sizeof(w->found), "%08x", crc);
	}
}

/* A file with a record: is it as the record says? */
static void check_record(struct verify *v, const struct record *r,
    const char *remote, struct wrong *w)
{
	char path[4096];
	struct stat st;
	int rc;

	w->state = NULL;
	w->expected[0] = '\0';
	w->found[0] = '\0';
	if (r->type == FILE_TRUNK) {
		v->trunk++; /* inside another file */
		return;
	}
	rc = stores_path(&v->stores, remote, false, path, sizeof(path));
	if (rc == 0 && stat(path, &st) < 0)
		rc = -errno;
	if (rc < 0) {
		w->state =
		    rc == -ENOENT || rc == -ENODEV ? "missing" : "unreadable";
		if (rc != -ENOENT)
			str_copy(w->found, sizeof(w->found),
			    rc == -ENODEV ? "no such store path" : errstr(rc));
		snprintf(w->expected, sizeof(w->expected), "%" PRIu64, r->size);
		return;
	}
	check_content(v, r, path, &st, w);
	if (!w->state)
		check_meta(v, r, remote, w);
}

/* One name from both sides. */
static int check_name(struct verify *v, const char *remote, struct wrong *w)
{
	struct record r = { .found = false };
	char path[4096];
	struct stat st;
	int rc = query_file(v->d.catalogue, remote, false, keep_record, &r);

	if (rc < 0)
		return rc;
	if (r.found) {
		check_record(v, &r, remote, w);
		return 0;
	}
	memset(w, 0, sizeof(*w));
	if (stores_path(&v->stores, remote, false, path, sizeof(path)) == 0 &&
	    lstat(path, &st) == 0) {
		w->state = "orphan";
		snprintf(w->found, sizeof(w->found), "%lld",
		    (long long)st.st_size);
	} else if (stores_path(&v->stores, remote, true, path, sizeof(path)) ==
	               0 &&
	           lstat(path, &st) == 0) {
		w->state = "orphan-meta";
		snprintf(w->found, sizeof(w->found), "%lld",
		    (long long)st.st_size);
	}
	return 0;
}

static int on_record(void *arg, const struct file_row *row)
{
	struct verify *v = arg;
	struct record r;
	struct wrong w;

	keep_record(&r, row);
	check_record(v, &r, row->remote, &w);
	v->records++;
	progress_at(&v->p, v->records + v->files);
	if (w.state)
		suspect(v, row->remote);
	return stop_asked() ? 1 : 0;
}

static int on_file(void *arg, const struct stores_file *f)
{
	struct verify *v = arg;
	struct record r = { .found = false };
	int rc;

	if (!f->is_ours) {
		v->not_ours++;
		if (v->cli->out.verbose)
			err_note("not ours: %s", f->remote);
		return 0;
	}
	v->meta += f->is_meta;
	v->files += !f->is_meta;
	progress_at(&v->p, v->records + v->files);
	rc = query_file(v->d.catalogue, f->remote, false, keep_record, &r);
	if (rc < 0)
		return rc;
	if (!r.found)
		suspect(v, f->remote);
	return stop_asked() ? -EINTR : 0;
}

/* Waits for a running daemon's catalogue to apply what the log holds. */
static enum status catch_up(const struct verify *v)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	const mono_t end = clock_mono() + CATCH_UP_S * MONO_SEC;
	struct query_lag lag;
	int rc;

	if (!v->d.log)
		return STATUS_OK;
	for (;;) {
		rc = query_lag(v->d.catalogue, v->d.log, &lag);
		if (rc < 0)
			return dbs_fail(v->d.catalogue_path, v->d.catalogue,
			    rc);
		if (!lag.same_log && lag.last > 0)
			return err_say(
			    (struct err){ .status = STATUS_NO_SOURCE,
			        .subject = v->d.catalogue_path,
			        .todo = "stop the daemon, then: fdfs-meta "
			                "adopt run STORAGE_CONF" },
			    "%s does not follow the log beside it",
			    v->d.catalogue_path);
		if (lag.waiting == 0)
			return STATUS_OK;
		if (stop_asked())
			return stop_status();
		if (stores_daemon(&v->stores) == 0 || clock_mono() > end)
			break;
		nanosleep(&nap, NULL);
	}
	return err_say((struct err){ .status = STATUS_NO_SOURCE,
	                   .subject = v->d.catalogue_path,
	                   .todo = "start fdfs-storaged, which catches up, or "
	                           "run adopt" },
	    "the catalogue is %" PRIu64 " operations behind the log",
	    lag.waiting);
}

static enum status first_pass(struct verify *v)
{
	const struct file_filter all = { .order = FILE_BY_CREATED,
		.ascending = true };
	char where[4096];
	int64_t rows_rc;
	int rc = 0;

	progress_count(&v->p, "verify", v->cli->out.quiet > 0);
	rows_rc = query_files(v->d.catalogue, &all, on_record, v);
	if (rows_rc >= 0 && !stop_asked())
		rc = stores_walk(&v->stores, on_file, v, where, sizeof(where));
	progress_end(&v->p);
	if (stop_asked())
		return stop_status();
	if (rows_rc < 0)
		return dbs_fail(v->d.catalogue_path, v->d.catalogue, rows_rc);
	if (rc < 0)
		return err_say((struct err){ .status = rc == -EACCES
		                                           ? STATUS_REFUSED
		                                           : STATUS_NO_SOURCE,
		                   .rc = rc,
		                   .subject = where },
		    "cannot read %s: %s", where, errstr(rc));
	return STATUS_OK;
}

static bool tell(void *arg, const char *const finding[5])
{
	struct verify *v = arg;
	struct out_cell c[ARRAY_LEN(columns)];
	char id[256];
	struct strbuf b = strbuf_over(id, sizeof(id));

	v->bad++;
	strbuf_addf(&b, "%s/%s", v->stores.group, finding[1]);
	c[COL_STATE] = out_text(finding[0]);
	c[COL_ID] = out_text(id);
	c[COL_EXPECTED] = finding[2][0] ? out_text(finding[2]) : out_unknown();
	c[COL_FOUND] = finding[3][0] ? out_text(finding[3]) : out_unknown();
	c[COL_PEER] = out_text(finding[4]);
	return out_row(v->out, c);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status second_pass(struct verify *v)
{
	if (v->n_suspects > 1)
		qsort(v->suspects, v->n_suspects, sizeof(*v->suspects),
		    by_name);
	for (size_t i = 0; i < v->n_suspects && !stop_asked(); i++) {
		struct wrong w;
		int rc;

		if (i > 0 && strcmp(v->suspects[i], v->suspects[i - 1]) == 0)
			continue;
		rc = check_name(v, v->suspects[i], &w);
		if (rc < 0)
			return dbs_fail(v->d.catalogue_path, v->d.catalogue,
			    rc);
		if (w.state &&
		    !tell(v, (const char *const[5]){ w.state, v->suspects[i],
		                 w.expected, w.found, NULL }))
			break;
	}
	return STATUS_OK;
}

/* Those of the tracker, or those that were named; at least one. */
static enum status find_peers(struct verify *v)
{
	struct source_options so = v->cli->sources;
	const bool by_conf = so.trackers.n == 0 && !so.config &&
	                     v->o->peer.n == 0 &&
	                     strcmp(v->cli->words[0], "paths") != 0;
	enum status st;

	if (by_conf)
		so.config = v->cli->words[0];
	so.db = (struct opt_list){ NULL, 0 };
	st = source_open(&so, &v->net);
	v->peers.net = &v->net;
	v->peers.stores = &v->stores;
	v->peers.dbs = &v->d;
	v->peers.crc = v->o->crc;
	v->peers.quiet = v->cli->out.quiet > 0;
	v->peers.connections =
	    v->o->connections ? (size_t)v->o->connections : CONNECTIONS;
	v->peers.tell = tell;
	v->peers.arg = v;
	return st == STATUS_OK ? verify_peers_find(&v->peers, &v->o->peer) : st;
}

/* What was compared, in one sentence. */
static void sum_up(const struct verify *v, enum status st)
{
	const struct verify_peers *p = &v->peers;
	char text[512];
	struct strbuf b = strbuf_over(text, sizeof(text));
	size_t compared = 0;

	for (size_t i = 0; i < p->n_peers; i++)
		compared += p->peers[i].compared;
	strbuf_addf(&b,
	    "%" PRIu64 " records, %" PRIu64 " files, %" PRIu64
	    " metadata files; findings: %" PRIu64 "%s",
	    v->records, v->files, v->meta, v->bad,
	    v->trunk > 0 ? "; files in trunk files were not looked at" : "");
	if (v->net_used)
		strbuf_addf(&b,
		    "; compared with %zu of %zu peers: %" PRIu64
		    " files each by existence, size, %smetadata; waiting in "
		    "the log for a peer: %" PRIu64 "%s",
		    compared, p->n_peers, p->files,
		    v->o->crc ? "checksum, " : "checksum as named, ",
		    p->waiting,
		    st == STATUS_OK && v->bad == 0 && p->n_peers > 0
		        ? "; database, disk and peers agree"
		        : "");
	if (!v->cli->out.quiet)
		err_note("%s", text);
}

static enum status verify(struct verify *v)
{
	const struct out_source source = { v->d.catalogue_path, 0 };
	struct out_end end = { .sources = &source, .n_sources = 1 };
	enum status st = STATUS_OK;

	v->net_used = v->o->peers || v->o->peer.n > 0;
	if (v->net_used)
		st = find_peers(v);
	if (st == STATUS_OK)
		st = catch_up(v);
	if (st == STATUS_OK)
		st = first_pass(v);
	if (st == STATUS_OK && v->n_suspects > 0)
		st = catch_up(v);
	if (st != STATUS_OK)
		return st;
	st = out_open(&v->cli->out, &layout, &v->out);
	if (!v->out)
		return st;
	st = second_pass(v);
	if (st == STATUS_OK && v->net_used)
		st = verify_peers_run(&v->peers);
	end.complete = st == STATUS_OK && !stop_asked();
	end.total = (int64_t)v->bad;
	st = err_worse(st, out_close(v->out, &end));
	sum_up(v, st);
	return st == STATUS_OK && v->bad > 0 ? STATUS_NO : st;
}

enum status meta_run_verify(struct cli *cli, const void *options)
{
	const struct verify_options *o = options;
	struct stores_options stores = o->stores;
	struct verify v;
	struct source s;
	struct out *out;
	enum status st;

	if (cli->out.list_columns)
		return out_open(&cli->out, &layout, &out);
	memset(&v, 0, sizeof(v));
	v.cli = cli;
	v.o = o;
	if (cli->sources.db.n > 0)
		stores.db = cli->sources.db.items[cli->sources.db.n - 1];
	st = stores_open(cli->words, cli->n_words, &stores, &v.stores);
	if (st != STATUS_OK)
		return st;
	memset(&s, 0, sizeof(s));
	s.db[0] = v.stores.meta_dir;
	s.n_db = 1;
	st = dbs_open_catalogue(&s, v.stores.group, &v.d);
	if (st == STATUS_OK)
		st = verify(&v);
	dbs_close(&v.d);
	source_close(&v.net);
	for (size_t i = 0; i < v.n_suspects; i++)
		free(v.suspects[i]);
	free(v.suspects);
	stores_close(&v.stores);
	return st;
}
