/* SPDX-License-Identifier: MIT */
/*
 * One worker owns the handles. There is one job; it belongs to the worker
 * while `out` is true. What is wanted next waits beside it: a search goes
 * before the details of a file, and those before the sum of a search, which
 * may have to read everything.
 */
#include "tui/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mailbox.h"
#include "tui/find.h"

#define SUM_CHEAP_US 200000

enum question { ASK_NOTHING, ASK_ROWS, ASK_DETAIL, ASK_SUM };

/* Set once by the worker; the main loop only interrupts. */
struct handles {
	_Atomic(struct db *) catalogue;
	_Atomic(struct db *) log;
};

struct files {
	struct mailbox home;
	struct crew *crew;
	struct files_view view;
	bool want_rows, want_detail, want_sum;
	char wanted[FIND_MAX];
	struct file_hit wanted_hit;
	bool detail_old; /* shown, but to be asked again */
	bool out;
	/* the job and what it works on: the worker's while out */
	struct job job;
	enum question question;
	struct find find;
	char text[FIND_MAX];
	struct file_hit about;
	struct files_view answer;
	struct handles handles[FILES_DBS];
	size_t asking; /* database being read */
};

/* <base>/meta/catalogue.db, <dir>/catalogue.db, or the file itself. */
static void resolve(const char *given, char *path, size_t cap)
{
	static const char *const places[] = { "meta/catalogue.db",
		"catalogue.db" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, cap, "%s/%s", given, places[i]);
		if (access(path, F_OK) == 0)
			return;
	}
	str_copy(path, cap, given);
}

/* --- the worker --- */
static int open_handles(struct files *f, size_t i)
{
	struct handles *h = &f->handles[i];
	const char *path = f->answer.paths[i];
	const char *slash = strrchr(path, '/');
	char log[300];
	char err[DB_ERR_MAX];
	struct db *db;
	int rc;

	if (!h->catalogue) {
		rc = db_open_read(DB_CATALOGUE, path, &db, err);
		if (rc < 0) {
			str_copy(f->answer.error, sizeof(f->answer.error), err);
			return rc;
		}
		h->catalogue = db;
	}
	if (!h->log && slash) {
		snprintf(log, sizeof(log), "%.*s/storage.db",
		    (int)(slash - path), path);
		/* Without the log there is no story and no lag: that is no
		 * reason to show nothing. */
		if (db_open_read(DB_LOG, log, &db, err) == 0)
			h->log = db;
	}
	return 0;
}

static int take_hit(void *arg, const struct file_row *row)
{
	struct files *f = arg;
	struct files_view *v = &f->answer;
	struct file_hit *hit;

	v->hits = xrealloc(v->hits, v->n_hits + 1, sizeof(*v->hits));
	hit = &v->hits[v->n_hits++];
	*hit = (struct file_hit){ .seq = row->seq,
		.size = row->size,
		.has_crc = row->has_crc,
		.crc = row->crc,
		.type = row->type,
		.created = row->created,
		.modified = row->modified,
		.verified = row->verified,
		.verify_result = row->verify_result,
		.deleted = row->deleted,
		.deleted_at = row->deleted_at,
		.db = f->asking };
	str_copy(hit->id, sizeof(hit->id), row->id);
	str_copy(hit->name, sizeof(hit->name), row->name ? row->name : "");
	str_copy(hit->ext, sizeof(hit->ext), row->ext ? row->ext : "");
	str_copy(hit->source, sizeof(hit->source),
	    row->source ? row->source : "");
	str_copy(hit->client, sizeof(hit->client),
	    row->client ? row->client : "");
	str_copy(hit->deleted_by, sizeof(hit->deleted_by),
	    row->deleted_by ? row->deleted_by : "");
	return 0;
}

static void take_lag(struct files *f, const struct handles *h)
{
	struct files_view *v = &f->answer;
	struct query_lag lag = { 0 };
	int64_t behind = 0;

	if (!h->log || query_lag(h->catalogue, h->log, &lag) < 0)
		return;
	if (lag.waiting > 0 && lag.oldest > 0)
		behind = (clock_wall() - lag.oldest) / 1000;
	v->have_lag = true;
	v->waiting += lag.waiting;
	if (behind > v->behind_s)
		v->behind_s = behind;
}

/* One id: what exists, else what was deleted. */
static int ask_id(struct files *f, struct db *db, struct span name)
{
	char remote[192];
	int rc;

	if (!str_copy_span(remote, sizeof(remote), name))
		return 0;
	rc = query_file(db, remote, false, take_hit, f);
	if (rc == 0)
		rc = query_file(db, remote, true, take_hit, f);
	return rc;
}

static int ask_rows(struct files *f, struct handles *h)
{
	struct span group;
	struct span name;
	int64_t n;

	if (find_is_id(f->text, &group, &name))
		return ask_id(f, h->catalogue, name);
	f->find.filter.limit = FILES_SHOWN + 1;
	n = query_files(h->catalogue, &f->find.filter, take_hit, f);
	return n < 0 ? (int)n : 0;
}

static int ask_sum(struct files *f, struct handles *h)
{
	uint64_t files = 0;
	uint64_t bytes = 0;
	const int rc =
	    query_files_sum(h->catalogue, &f->find.filter, &files, &bytes);

	f->answer.sum_files += files;
	f->answer.sum_bytes += bytes;
	return rc;
}

static int take_attr(void *arg, const char *key, const char *value)
{
	struct files_view *v = arg;
	struct file_attr *a = &v->attrs[v->n_attrs];

	if (v->n_attrs == ATTRS_SHOWN)
		return 1;
	v->n_attrs++;
	str_copy(a->key, sizeof(a->key), key);
	str_copy(a->value, sizeof(a->value), value);
	return 0;
}

/* The newest are kept when there are more than fit. */
static int take_op(void *arg, const struct op *op)
{
	struct files_view *v = arg;
	struct file_op *o;

	if (v->n_ops == OPS_SHOWN) {
		memmove(v->ops + 1, v->ops + 2,
		    (OPS_SHOWN - 2) * sizeof(v->ops[0]));
		v->n_ops--;
	}
	o = &v->ops[v->n_ops++];
	*o = (struct file_op){ .at = op->at,
		.code = (char)op->code,
		.replica = op->replica,
		.bytes = op->bytes };
	str_copy_span(o->client, sizeof(o->client), op->client);
	return 0;
}

static int ask_detail(struct files *f)
{
	const struct file_hit *hit = &f->about;
	struct handles *h = &f->handles[hit->db];
	const char *remote = strchr(hit->id, '/');
	int rc = open_handles(f, hit->db);

	if (rc == 0 && !hit->deleted)
		rc = query_attrs(h->catalogue, hit->seq, take_attr, &f->answer);
	if (rc >= 0 && h->log && remote)
		rc = query_ops_of(h->log, remote + 1,
		    hit->seq > 0 ? (uint64_t)hit->seq : 0, take_op, &f->answer);
	return rc < 0 ? rc : 0;
}

static int ask_each(struct files *f)
{
	int rc = 0;

	if (f->question == ASK_DETAIL)
		return ask_detail(f);
	for (size_t i = 0; rc == 0 && i < f->answer.n_dbs; i++) {
		f->asking = i;
		rc = open_handles(f, i);
		if (rc < 0)
			break;
		if (f->question == ASK_SUM) {
			rc = ask_sum(f, &f->handles[i]);
		} else {
			rc = ask_rows(f, &f->handles[i]);
			take_lag(f, &f->handles[i]);
		}
		if (rc > 0)
			rc = 0;
	}
	return rc;
}

static int newer_first(const void *a, const void *b)
{
	const struct file_hit *x = a;
	const struct file_hit *y = b;

	if (x->created != y->created)
		return x->created > y->created ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void files_run(struct job *job)
{
	struct files *f = container_of(job, struct files, job);
	struct files_view *v = &f->answer;
	const mono_t start = clock_mono();

	job->rc = ask_each(f);
	v->took_us = (clock_mono() - start) / 1000;
	if (job->rc < 0 && v->error[0] == '\0')
		snprintf(v->error, sizeof(v->error), "%s: %s",
		    v->paths[f->asking], errstr(job->rc));
	if (v->n_dbs > 1 && v->n_hits > 0)
		qsort(v->hits, v->n_hits, sizeof(*v->hits), newer_first);
	v->more = v->n_hits > FILES_SHOWN;
	if (v->more)
		v->n_hits = FILES_SHOWN;
	job_go_home(job);
}

/* --- the main loop --- */
int files_start(const char *const *dbs, size_t n, struct files **out)
{
	struct files *f = xcalloc(1, sizeof(*f));
	int rc = mailbox_init(&f->home);

	if (rc < 0)
		goto free_files;
	f->view.n_dbs = size_min(n, FILES_DBS);
	for (size_t i = 0; i < f->view.n_dbs; i++)
		resolve(dbs[i], f->view.paths[i], sizeof(f->view.paths[i]));
	f->job.run = files_run;
	f->job.home = &f->home;
	rc = crew_new(1, "find", &f->crew);
	if (rc < 0)
		goto close_mailbox;
	*out = f;
	return 0;

close_mailbox:
	mailbox_fini(&f->home);
free_files:
	free(f);
	return rc;
}

int files_fd(const struct files *f)
{
	return f->home.fd;
}

const struct files_view *files_get(const struct files *f)
{
	return &f->view;
}

static void submit(struct files *f, enum question q)
{
	struct files_view *a = &f->answer;

	memset(a, 0, sizeof(*a));
	a->n_dbs = f->view.n_dbs;
	memcpy(a->paths, f->view.paths, sizeof(a->paths));
	f->question = q;
	f->out = true;
	crew_submit(f->crew, &f->job);
}

/* Starts what is wanted, if the worker is free. */
static void next_question(struct files *f)
{
	struct span group;
	struct span name;

	if (f->out)
		return;
	if (f->want_rows) {
		f->want_rows = false;
		str_copy(f->text, sizeof(f->text), f->wanted);
		f->view.error[0] = '\0';
		if (!find_is_id(f->text, &group, &name) &&
		    find_parse(f->text, clock_wall(), &f->find, f->view.error,
		        sizeof(f->view.error)) < 0) {
			f->view.state = FILES_FAILED;
			return;
		}
		submit(f, ASK_ROWS);
	} else if (f->want_detail) {
		f->want_detail = false;
		f->about = f->wanted_hit;
		submit(f, ASK_DETAIL);
	} else if (f->want_sum) {
		f->want_sum = false;
		submit(f, ASK_SUM);
	}
}

static void interrupt_worker(struct files *f)
{
	for (size_t i = 0; f->out && i < f->view.n_dbs; i++) {
		if (f->handles[i].catalogue)
			query_interrupt(f->handles[i].catalogue);
		if (f->handles[i].log)
			query_interrupt(f->handles[i].log);
	}
}

void files_search(struct files *f, const char *text)
{
	if (f->view.n_dbs == 0)
		return;
	str_copy(f->wanted, sizeof(f->wanted), text);
	f->want_rows = true;
	f->want_sum = false;
	if (strcmp(text, f->view.find) != 0 || f->view.state != FILES_READY) {
		f->view.state = FILES_SEARCHING;
		f->view.started = clock_mono();
	}
	interrupt_worker(f);
	next_question(f);
}

void files_detail(struct files *f, const struct file_hit *hit)
{
	if (strcmp(f->view.detail_id, hit->id) != 0)
		f->view.have_detail = false;
	else if (!f->detail_old)
		return;
	f->detail_old = false;
	str_copy(f->view.detail_id, sizeof(f->view.detail_id), hit->id);
	f->wanted_hit = *hit;
	f->want_detail = true;
	next_question(f);
}

bool files_busy(const struct files *f)
{
	return f->out;
}

void files_cancel(struct files *f)
{
	f->want_rows = f->want_sum = f->want_detail = false;
	interrupt_worker(f);
	if (f->view.state == FILES_SEARCHING)
		f->view.state = FILES_READY;
}

static void sum_hits(struct files_view *v)
{
	v->have_sum = true;
	v->sum_old = false;
	v->sum_us = 0;
	v->sum_files = v->n_hits;
	v->sum_bytes = 0;
	for (size_t i = 0; i < v->n_hits; i++)
		v->sum_bytes += v->hits[i].size;
}

static void take_rows(struct files *f)
{
	struct files_view *v = &f->view;
	struct files_view *a = &f->answer;
	const bool same = strcmp(v->find, f->text) == 0;

	if (f->job.rc == -EINTR) {
		free(a->hits);
		return;
	}
	str_copy(v->find, sizeof(v->find), f->text);
	v->state = f->job.rc < 0 ? FILES_FAILED : FILES_READY;
	str_copy(v->error, sizeof(v->error), a->error);
	free(v->hits);
	v->hits = a->hits;
	v->n_hits = a->n_hits;
	v->more = a->more;
	v->took_us = a->took_us;
	v->have_lag = a->have_lag;
	v->behind_s = a->behind_s;
	v->waiting = a->waiting;
	if (!a->more)
		sum_hits(v);
	else if (!same || !v->have_sum)
		v->have_sum = false;
	else
		v->sum_old = true;
	/* A dear sum is not asked for again until the question changes. */
	f->want_sum = a->more && (!v->have_sum || v->sum_us < SUM_CHEAP_US);
	/* What is known of the file under the cursor may be old now. */
	f->detail_old = true;
}

bool files_take(struct files *f)
{
	struct job *job = mailbox_take(&f->home);
	struct files_view *v = &f->view;
	const struct files_view *a = &f->answer;

	if (!job)
		return false;
	f->out = false;
	if (f->question == ASK_ROWS) {
		take_rows(f);
	} else if (f->question == ASK_DETAIL && f->job.rc == 0 &&
	           strcmp(v->detail_id, f->about.id) == 0) {
		v->have_detail = true;
		v->n_attrs = a->n_attrs;
		v->n_ops = a->n_ops;
		memcpy(v->attrs, a->attrs, sizeof(v->attrs));
		memcpy(v->ops, a->ops, sizeof(v->ops));
	} else if (f->question == ASK_SUM && f->job.rc == 0) {
		v->have_sum = true;
		v->sum_old = false;
		v->sum_us = a->took_us;
		v->sum_files = a->sum_files;
		v->sum_bytes = a->sum_bytes;
	}
	next_question(f);
	return true;
}

void files_stop(struct files *f)
{
	if (!f)
		return;
	files_cancel(f);
	if (f->out)
		return; /* the program is about to exit and must not wait */
	crew_free(f->crew);
	for (size_t i = 0; i < FILES_DBS; i++) {
		if (f->handles[i].catalogue)
			db_close(f->handles[i].catalogue);
		if (f->handles[i].log)
			db_close(f->handles[i].log);
	}
	mailbox_fini(&f->home);
	free(f->view.hits);
	free(f);
}
