/* SPDX-License-Identifier: MIT */
/*
 * One peer: its list of files, then a question for each of ours over several
 * connections in turn (the protocol has one request at a time on each), then a
 * second look at what seemed wrong. A name that is wrong because an operation
 * waits for the peer is told apart by the log; one that changes while we look
 * gets some more looks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sum.h"
#include "cli/binlog.h"
#include "cli/nameset.h"
#include "cli/peer_file.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/verify_peers.h"
#include "meta/oplog.h"
#include "meta/peers.h"
#include "proto/fileid.h"
#include "proto/wire.h"

#define LIST_MS    600000 /* it may think for so long (3.12) */
#define LOOKS      25
#define LOOK_MS    200
#define TRAILER    8
#define LIST_BLOCK ((size_t)64 * 1024)
#define PAGE       2000

struct peer_view {
	struct verify_peers *v;
	struct verify_peer *p;
	struct nameset there;    /* its files, "-m" too */
	struct nameset suspects; /* seen: settled */
	struct nameset waiting;  /* what the log still has for it */
	bool filling;
	char fill_after[PEER_NAME_SIZE];
	struct client *conns[VERIFY_CONNS_MAX];
	struct peer_file asked[VERIFY_CONNS_MAX]; /* what each was asked */
	bool busy[VERIFY_CONNS_MAX];
	size_t n_conns, next;
	struct progress progress;
	uint64_t done;
	int rc; /* why the first pass ended early */
};

/* --- its list ------------------------------------------------------------ */

static void take_list_line(struct peer_view *w, struct span line)
{
	struct binlog_line l;

	if (binlog_parse(line, &l) == 0)
		nameset_add(&w->there, l.name);
}

/* Whole lines out of buf[0..n); gives how many bytes are left over at its
 * start. */
static size_t take_list(struct peer_view *w, char *buf, size_t n)
{
	size_t at = 0;
	const char *end;

	while ((end = memchr(buf + at, '\n', n - at)) != NULL) {
		take_list_line(w,
		    (struct span){ buf + at, (size_t)(end - buf) - at });
		at = (size_t)(end - buf) + 1;
	}
	memmove(buf, buf + at, n - at);
	return n - at;
}

/* Text up to the close of the connection; its last eight bytes count the
 * others, and are never taken for text, because they hold no newline or stand
 * behind the last one. */
static int read_list(struct peer_view *w, struct client *c)
{
	char *buf = xcalloc(1, LIST_BLOCK + TRAILER);
	char tail[TRAILER];
	size_t held = 0; /* text not taken yet, then the last eight bytes */
	uint64_t total = 0;
	ssize_t n;
	int rc = 0;

	while ((n = client_recv_some(c, buf + held,
	            LIST_BLOCK + TRAILER - held)) > 0) {
		total += (uint64_t)n;
		held += (size_t)n;
		if (held < TRAILER)
			continue;
		memcpy(tail, buf + held - TRAILER, TRAILER);
		held = take_list(w, buf, held - TRAILER);
		memcpy(buf + held, tail, TRAILER);
		held += TRAILER;
		if (held >= LIST_BLOCK || stop_asked())
			break; /* no line is that long */
	}
	/* too long a line, too short an answer, or not all of it */
	if (n < 0 && n != -ECONNRESET)
		rc = (int)n;
	else if (n > 0 || total < TRAILER ||
	         wire_number(buf + held - TRAILER, TRAILER) != total - TRAILER)
		rc = -EPROTO;
	free(buf);
	return rc;
}

static int list_path(struct peer_view *w, size_t path)
{
	const struct msg_fetch_path_binlog req = { .path = (uint8_t)path };
	struct msg_fetch_path_binlog in = req;
	const struct verify_peers *v = w->v;
	char body[32];
	uint64_t length;
	struct client *c;
	ssize_t n;
	int rc;

	str_copy(in.group, sizeof(in.group), v->stores->group);
	rc = client_open(&w->p->addr, NULL, v->net->connect_ms, LIST_MS, &c);
	if (rc < 0)
		return rc;
	stop_watch(c);
	n = msg_encode(&MSG(fetch_path_binlog), &in, body, sizeof(body));
	rc = client_send_head(c, CMD_fetch_one_path_binlog, 0, (uint64_t)n,
	    body, (size_t)n);
	if (rc == 0)
		rc = client_recv_head(c, &length);
	if (rc == 0)
		rc = read_list(w, c);
	stop_watch(NULL);
	client_close(c);
	return rc;
}

static int read_lists(struct peer_view *w)
{
	int rc = 0;

	w->p->listed = true;
	for (size_t i = 0; rc == 0 && i < w->v->stores->n; i++) {
		rc = list_path(w, i);
		if (rc > 0) { /* refused */
			w->p->listed = false;
			rc = 0;
		}
	}
	return rc;
}

/* --- every file of ours -------------------------------------------------- */

static void suspect(struct peer_view *w, const char *remote)
{
	nameset_add(&w->suspects, span_of(remote));
}

static bool has_side(const struct peer_view *w, const char *remote)
{
	char name[512];
	struct strbuf b = strbuf_over(name, sizeof(name));

	strbuf_addf(&b, "%s-m", remote);
	return nameset_find(&w->there, (struct span){ name, b.len }) != NULL;
}

/* Takes the answer on one connection. */
static int settle(struct peer_view *w, size_t k)
{
	struct peer_answer a;
	int rc;

	if (!w->busy[k])
		return 0;
	w->busy[k] = false;
	stop_watch(w->conns[k]);
	rc = peer_file_receive(w->conns[k], &w->asked[k], &a);
	stop_watch(NULL);
	if (rc != 0)
		return rc;
	if (a.state)
		suspect(w, w->asked[k].remote);
	return 0;
}

static int ask(struct peer_view *w, const struct peer_file *f)
{
	const size_t k = w->next;
	int rc = settle(w, k);

	if (rc != 0)
		return rc;
	w->next = (k + 1) % w->n_conns;
	w->asked[k] = *f;
	rc = peer_file_send(w->conns[k], w->v->stores->group, &w->asked[k]);
	w->busy[k] = rc == 0;
	return rc;
}

/* Of the others the peer computes the checksum itself; FastDFS refuses the
 * download of an empty file. */
static bool wants_content(const struct peer_view *w, const struct peer_file *f)
{
	return w->v->crc && f->known && f->type == FILE_NORMAL && f->size > 0;
}

static int on_record(void *arg, const struct file_row *row)
{
	struct peer_view *w = arg;
	struct name_entry *e;
	struct peer_file f;

	if (row->type == FILE_TRUNK)
		return 0;
	e = nameset_find(&w->there, span_of(row->remote));
	if (e)
		e->seen = true;
	progress_at(&w->progress, ++w->done);
	peer_file_describe(&f, w->v->stores, row);
	f.ask = PEER_ASK_INFO;
	w->rc = ask(w, &f);
	if (w->rc == 0 && (f.has_meta || has_side(w, row->remote))) {
		f.ask = PEER_ASK_META;
		w->rc = ask(w, &f);
	}
	if (w->rc == 0 && wants_content(w, &f)) {
		f.ask = PEER_ASK_CONTENT;
		w->rc = ask(w, &f);
	}
	return w->rc != 0 || stop_asked() ? 1 : 0;
}

static int connect_all(struct peer_view *w)
{
	const size_t wanted = w->v->connections;

	while (w->n_conns < wanted) {
		const int rc =
		    client_open(&w->p->addr, NULL, w->v->net->connect_ms,
		        w->v->net->io_ms, &w->conns[w->n_conns]);

		if (rc < 0)
			return rc;
		w->n_conns++;
	}
	return 0;
}

static int first_pass(struct peer_view *w)
{
	const struct file_filter all = { .order = FILE_BY_NAME,
		.ascending = true };
	int64_t n;
	int rc = 0;

	progress_count(&w->progress, w->p->text, w->v->quiet);
	n = query_files(w->v->dbs->catalogue, &all, on_record, w);
	for (size_t k = 0; w->rc == 0 && rc == 0 && k < w->n_conns; k++)
		rc = settle(w, k);
	progress_end(&w->progress);
	if (n < 0)
		return (int)n;
	w->v->files = w->done;
	return w->rc != 0 ? w->rc : rc;
}

/* What it has and we have not. */
static void suspect_extra(struct peer_view *w)
{
	for (size_t i = 0; i < w->there.cap; i++) {
		const struct name_entry *e = w->there.slots[i];
		struct name_entry *of;
		struct span owner;

		if (!e || e->seen)
			continue;
		if (!fileid_is_side(span_of(e->name))) {
			suspect(w, e->name);
			continue;
		}
		/* Metadata of a file of ours was looked at with the file. */
		owner = fileid_owner(span_of(e->name));
		of = nameset_find(&w->there, owner);
		if (!of || !of->seen)
			nameset_add(&w->suspects, owner);
	}
}

/* --- the second look ----------------------------------------------------- */

static int note_waiting(void *arg, const struct op *op)
{
	struct peer_view *w = arg;

	w->done = op->seq;
	if (op->replica)
		return 0;
	nameset_add(&w->waiting, op->name);
	if (op->code == OP_RENAME)
		nameset_add(&w->waiting, op->extra);
	return 0;
}

static int note_parked(void *arg, const struct parked_row *p)
{
	nameset_add(&((struct peer_view *)arg)->waiting, span_of(p->name));
	return 0;
}

struct find_peer {
	const struct verify_peer *p;
	struct peer_row row;
	bool found;
};

static int match_peer(void *arg, const struct peer_row *row)
{
	struct find_peer *f = arg;
	char ip[ADDR_IP_MAX];

	if (strcmp(row->address, f->p->text) == 0 ||
	    (f->p->id[0] && strcmp(row->id, f->p->id) == 0) ||
	    strcmp(row->id, addr_ip(&f->p->addr, ip, sizeof(ip))) == 0) {
		f->row = *row;
		f->found = true;
	}
	return 0;
}

/* What this storage's log still has to tell the peer. */
static void load_waiting(struct peer_view *w)
{
	struct db *log = w->v->dbs->log;
	struct find_peer f = { .p = w->p };
	int n;

	nameset_fini(&w->waiting);
	if (!log || peers_each(log, match_peer, &f) < 0 || !f.found)
		return;
	w->filling = f.row.source && !f.row.filled;
	str_copy(w->fill_after, sizeof(w->fill_after), f.row.fill_after);
	w->done = f.row.seq;
	do {
		n = oplog_read(log, w->done, PAGE, note_waiting, w);
	} while (n > 0);
	(void)parked_each(log, f.row.id, 0, SIZE_MAX / 2, note_parked, w);
}

static bool waits(const struct peer_view *w, const char *remote)
{
	return nameset_find(&w->waiting, span_of(remote)) ||
	       (w->filling && strcmp(remote, w->fill_after) > 0);
}

static int keep_row(void *arg, const struct file_row *row)
{
	struct peer_file *f = arg;

	peer_file_describe(f, f->stores, row);
	f->known = true;
	return 0;
}

/* Everything about one name, on the first connection. */
static int look(struct peer_view *w, const char *remote, struct peer_answer *a)
{
	struct client *c = w->conns[0];
	struct peer_file f = { .stores = w->v->stores };
	const enum peer_ask asks[] = { PEER_ASK_INFO, PEER_ASK_META,
		PEER_ASK_CONTENT };
	int rc = query_file(w->v->dbs->catalogue, remote, false, keep_row, &f);

	if (rc < 0)
		return rc;
	if (!f.known)
		str_copy(f.remote, sizeof(f.remote), remote);
	stop_watch(c);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		f.ask = asks[i];
		if (f.ask == PEER_ASK_CONTENT && !wants_content(w, &f))
			break;
		rc = peer_file_send(c, w->v->stores->group, &f);
		if (rc == 0)
			rc = peer_file_receive(c, &f, a);
		if (rc != 0 || a->state)
			break;
	}
	stop_watch(NULL);
	return rc;
}

static bool tell(struct peer_view *w, const char *remote,
    const struct peer_answer *a)
{
	const char *const finding[5] = { a->state, remote, a->expected,
		a->found, w->p->text };

	if (strcmp(a->state, "missing") == 0)
		w->p->missing++;
	else if (strcmp(a->state, "extra") == 0)
		w->p->extra++;
	else
		w->p->differs++;
	return w->v->tell(w->v->arg, finding);
}

/* One round over what is not settled; the last one tells. Gives how many are
 * left, or -errno. */
static ssize_t round_of_looks(struct peer_view *w, bool last)
{
	ssize_t left = 0;

	for (size_t i = 0; i < w->suspects.cap && !stop_asked(); i++) {
		struct name_entry *e = w->suspects.slots[i];
		struct peer_answer a;
		int rc;

		if (!e || e->seen)
			continue;
		rc = look(w, e->name, &a);
		if (rc != 0)
			return rc < 0 ? rc : -EREMOTEIO;
		e->seen = true;
		if (!a.state)
			continue;
		if (waits(w, e->name)) {
			w->p->waiting++;
		} else if (!last) {
			e->seen = false;
			left++;
		} else if (!tell(w, e->name, &a)) {
			break;
		}
	}
	return left;
}

static int second_pass(struct peer_view *w)
{
	const struct timespec nap = { .tv_nsec = LOOK_MS * 1000000L };
	ssize_t left = 1;
	ssize_t before = -1;
	int same = 0;

	for (int i = 0; left > 0 && i <= LOOKS && !stop_asked(); i++) {
		/* Nothing has changed for two seconds: that is how it is. */
		const bool last = i == LOOKS || same >= LOOKS / 2;

		load_waiting(w);
		left = round_of_looks(w, last);
		same = left == before ? same + 1 : 0;
		before = left;
		if (last)
			break;
		if (left > 0)
			nanosleep(&nap, NULL);
	}
	return left < 0 ? (int)left : 0;
}

/* --- the whole ----------------------------------------------------------- */

int verify_peer_run(struct verify_peers *v, struct verify_peer *p,
    const char **what)
{
	struct peer_view *w = xcalloc(1, sizeof(*w));
	int rc;

	w->v = v;
	w->p = p;
	rc = connect_all(w);
	if (rc == 0) {
		*what = "read its list of files";
		rc = read_lists(w);
	}
	if (rc == 0) {
		*what = "ask it for each file";
		rc = first_pass(w);
	}
	if (rc == 0 && !stop_asked()) {
		suspect_extra(w);
		rc = second_pass(w);
	}
	for (size_t k = 0; k < w->n_conns; k++)
		client_close(w->conns[k]);
	nameset_fini(&w->there);
	nameset_fini(&w->suspects);
	nameset_fini(&w->waiting);
	free(w);
	return rc;
}
