/* SPDX-License-Identifier: MIT */
/*
 * The life of a pair (cluster-protocol 3.8). The peer's status is that of our
 * own list of members, which the trackers' lists and we ourselves change.
 */
#include "storaged/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "meta/event.h"
#include "storaged/beat.h"
#include "storaged/records.h"
#include "storaged/replicate.h"

#define LONG_MS         3600000
#define RETRY_MS        1000
#define LOST_ONE_BY_ONE 3   /* then one request at a time */
#define LOST_PARK       6   /* then without the one that kills it */
#define UNTIL_SLACK     600 /* seconds */
#define FILL_NICE       10

static int status_of(const struct peer *p)
{
	return beat_member_status(p->st->beat, p->id);
}

bool peer_may_send(const struct peer *p)
{
	const int status = status_of(p);

	return status == MEMBER_ACTIVE || status == MEMBER_SYNCING;
}

static void rest_for(struct peer *p, int64_t ms)
{
	peer_tick(p);
	peer_save(p, false);
	(void)peer_sleep(p, ms, NULL);
}

static void wait_for_news(struct peer *p, enum peer_phase phase)
{
	peer_phase(p, phase);
	peer_save(p, true);
	rest_for(p, LONG_MS);
}

static int64_t beat_ms(const struct peer *p)
{
	return __atomic_load_n(&p->st->conf.heart_beat_interval,
	           __ATOMIC_RELAXED) *
	       1000;
}

/* --- our part --- */

/* Where a peer that others fill, or that was there before us, begins. Clocks
 * differ, and what its source had not got from us yet it cannot pass on: so
 * somewhat before the moment, and not behind the source's own place. */
static int begin_at(struct peer *p, struct peer_row *row, const char *source)
{
	struct peer_row filler;
	int rc;

	if (row->until > 0)
		rc = log_find(p, row->until - UNTIL_SLACK, &row->seq);
	else
		rc = oplog_first(p->log) <= 1 ? 0 : -ESTALE;
	if (rc == 0 && source[0] && peers_get(p->log, source, &filler) == 0 &&
	    filler.filled && filler.seq < row->seq)
		row->seq = filler.seq;
	row->filled = rc == 0;
	/* What the log does not tell any more, the files do. */
	return rc == -ESTALE ? fill_position(p, row) : rc;
}

static int start_over(struct peer *p, const struct msg_sync_source *src)
{
	struct peer_row row = {
		.phase = PEER_WAIT,
		.phase_since = clock_wall(),
		.moved = clock_wall(),
		.source = src->id[0] && strcmp(src->id, p->st->me.id) == 0,
		.until = src->id[0] ? src->until : 0,
	};
	int rc;

	str_copy(row.id, sizeof(row.id), p->id);
	str_copy(row.address, sizeof(row.address), p->row.address);
	p->swept = 0;
	rc = row.source ? fill_position(p, &row) : begin_at(p, &row, src->id);
	if (rc == 0)
		rc = peer_begin(p, &row);
	if (rc < 0) {
		peer_error(p, -rc, "cannot find where to begin: %s",
		    errstr(rc));
		return rc;
	}
	log_info("sync_begin", "peer=%s source=%d until=%lld seq=%llu walk=%d",
	    p->id, row.source, (long long)row.until,
	    (unsigned long long)row.seq, !row.filled);
	if (row.source)
		catalogue_event(p->st->catalogue, "FD-SYNC-04", EVENT_INFO,
		    p->id, "is being given all older files");
	return 0;
}

/* Who fills it? 0: the row says it; else to be asked again. */
static int find_part(struct peer *p, int status)
{
	struct msg_sync_source src = { .until = 0 };
	const bool fresh = !p->known || status == MEMBER_WAIT_SYNC;
	int rc;

	if (!fresh && (status != MEMBER_SYNCING || p->row.source))
		return 0;
	if (!identity_is_settled(&p->st->me))
		return -EAGAIN;
	rc = beat_ask_source(p->st->beat, p->id, &src, &p->quit);
	if (rc)
		return rc < 0 ? rc : -EAGAIN;
	if (fresh || (src.id[0] && strcmp(src.id, p->st->me.id) == 0))
		return start_over(p, &src);
	return 0;
}

/* --- what others want of us --- */

struct rename_write {
	struct write write;
	const char *from, *to;
};

static int apply_rename(struct write *w, struct db *db)
{
	struct rename_write *r = container_of(w, struct rename_write, write);

	return peers_rename(db, r->from, r->to);
}

static void load_row(struct peer *p)
{
	struct peer_row row;

	p->known = peers_get(p->log, p->id, &row) == 0;
	if (p->known)
		p->row = row;
	str_copy(p->row.id, sizeof(p->row.id), p->id);
	peer_count_parked(p);
	peer_show(p);
}

/* It may have come back empty between two heart beats of ours, and then waits
 * to be filled up to a later moment than the one that was agreed for it. */
static void look_again(struct peer *p)
{
	struct msg_sync_source src = { .until = 0 };

	if (beat_ask_source(p->st->beat, p->id, &src, &p->quit) != 0 ||
	    !src.id[0] || src.until <= p->row.until)
		return;
	log_info("sync_again",
	    "peer=%s source=%s until=%lld: it came back without its files",
	    p->id, src.id, (long long)src.until);
	beat_set_member_status(p->st->beat, p->id, MEMBER_WAIT_SYNC);
}

static void obey(struct peer *p)
{
	struct rename_write r = { .write = { .apply = apply_rename },
		.from = p->id };
	char to[PEER_ID_SIZE];
	bool forget;
	bool reload;
	bool again;

	pthread_mutex_lock(&p->lock);
	str_copy(to, sizeof(to), p->renamed);
	forget = p->forget;
	reload = p->reload;
	again = p->look_again;
	p->renamed[0] = 0;
	p->forget = p->reload = p->look_again = false;
	pthread_mutex_unlock(&p->lock);
	r.to = to;
	if (to[0]) {
		peer_save(p, true);
		(void)writer_call(p->st->log, &r.write);
		p->known = false;
		replicate_reload(p->st->replicate, to);
	}
	if (forget)
		(void)peer_begin(p, NULL);
	if (reload)
		load_row(p);
	if (again)
		look_again(p);
}

static void leave(struct peer *p)
{
	(void)beat_read_changes(p->st->beat, p->id, &p->quit);
	obey(p);
	if (peer_quits(p))
		return;
	if (p->known)
		(void)peer_begin(p, NULL);
	log_info("sync_end", "peer=%s: it is no member any more", p->id);
	beat_set_member_status(p->st->beat, p->id, MEMBER_NONE);
}

/* --- the connection --- */

static int address_of(struct peer *p, struct addr *to)
{
	struct msg_brief *all = xcalloc(PEERS_MAX + 1, sizeof(*all));
	const size_t n = beat_members(p->st->beat, all, PEERS_MAX + 1);
	int rc = -ENOENT;

	for (size_t i = 0; i < n && rc == -ENOENT; i++) {
		struct span ip = span_of(all[i].ip);

		if (strcmp(all[i].id, p->id) != 0)
			continue;
		ip.n = strcspn(all[i].ip, ",");
		rc = addr_parse_ip(ip, to) < 0 ? -EINVAL : 0;
		to->port = (uint16_t)all[i].port;
	}
	free(all);
	return rc;
}

static void tell_lost(struct peer *p, int rc)
{
	char text[PEER_TEXT_SIZE];

	peer_error(p, -rc, "no connection to %s: %s", p->row.address,
	    errstr(rc));
	if (p->was_lost)
		return;
	p->was_lost = true;
	snprintf(text, sizeof(text), "cannot be reached at %s: %s",
	    p->row.address, errstr(rc));
	catalogue_event(p->st->catalogue, "FD-SYNC-02", EVENT_WARN, p->id,
	    text);
}

static int reach(struct peer *p)
{
	struct addr to = { 0 };
	char text[ADDR_TEXT_MAX];
	int rc = address_of(p, &to);

	if (rc == 0) {
		addr_text(&to, text, sizeof(text));
		p->dirty |= strcmp(text, p->row.address) != 0;
		str_copy(p->row.address, sizeof(p->row.address), text);
		rc = link_open(p, &to, peer_counts(p));
	}
	if (rc < 0) {
		if (!peer_quits(p))
			tell_lost(p, rc);
		return rc;
	}
	if (p->was_lost)
		catalogue_event(p->st->catalogue, "FD-SYNC-02", EVENT_INFO,
		    p->id, "can be reached again");
	p->was_lost = false;
	return 0;
}

/* --- the session --- */

struct fill {
	struct peer *p;
	int rc;
};

static void *fill_run(void *arg)
{
	struct fill *f = arg;

	pthread_setname_np(pthread_self(), "fill");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), FILL_NICE);
	f->rc = peer_session(f->p);
	return NULL;
}

/* A thread without rights cannot take its priority back: a fill has one of its
 * own. */
static int run_session(struct peer *p)
{
	struct fill f = { .p = p };
	pthread_t t;

	if (!peer_is_walking(p) || pthread_create(&t, NULL, fill_run, &f) != 0)
		return peer_session(p);
	pthread_join(t, NULL);
	return f.rc;
}

/* The walk is in order of files: metadata are passed with theirs. */
static void pass_file(struct peer *p, const struct peer_item *s)
{
	size_t n = strlen(s->name);

	if (s->op == OP_SET_META && n > 2)
		n -= 2;
	str_copy_span(p->row.fill_after, sizeof(p->row.fill_after),
	    (struct span){ s->name, n });
}

static void pass_over(struct peer *p)
{
	const struct peer_item *s = &p->suspect;

	if (!s->name[0])
		return;
	if (s->seq > p->row.seq)
		p->row.seq = s->seq;
	else if (peer_is_walking(p) && s->op != OP_DELETE)
		pass_file(p, s);
	else if (peer_is_walking(p))
		p->swept = p->row.seq;
	peer_error(p, ECONNRESET,
	    "%s: the connection is lost whenever it is sent", s->name);
	peer_park(p, s, ECONNRESET, errstr(-ECONNRESET), 0);
	p->lost = 0;
}

/* The connection died under way. */
static void count_loss(struct peer *p, int rc)
{
	if (p->lost == 0 || p->lost_seq != p->row.seq ||
	    strcmp(p->lost_name, p->row.fill_after) != 0)
		p->lost = 0;
	p->lost++;
	p->lost_seq = p->row.seq;
	str_copy(p->lost_name, sizeof(p->lost_name), p->row.fill_after);
	peer_error(p, -rc, "the connection is lost: %s", errstr(rc));
	if (p->lost >= LOST_PARK)
		pass_over(p);
	peer_save(p, true);
}

static void send_all(struct peer *p)
{
	const bool parked = p->parked > 0;
	int rc;

	if (reach(p) < 0) {
		peer_phase(p, PEER_DOWN);
		rest_for(p, RETRY_MS);
		return;
	}
	peer_phase(p, p->row.filled ? PEER_LOG : PEER_FILL);
	rc = run_session(p);
	link_close(p);
	if (rc == -ECANCELED || peer_quits(p) || rc >= 0)
		return;
	if (p->refused) {
		peer_refused(p, p->refused, p->refused_item.name);
		rest_for(p, RETRY_MS);
		return;
	}
	peer_phase(p, PEER_DOWN);
	if (p->suspect.name[0] && (p->parked > 0) == parked) {
		count_loss(p, rc);
	} else {
		peer_error(p, -rc, "%s", errstr(rc));
		peer_save(p, true);
	}
	rest_for(p, p->parked > 0 && !parked ? 0 : RETRY_MS);
}

static void report(struct peer *p, int status)
{
	int rc;

	beat_set_member_status(p->st->beat, p->id, status);
	rc = beat_report_status(p->st->beat, p->id, status, &p->quit);
	if (rc && !peer_quits(p))
		log_warn("sync_status",
		    "peer=%s status=%d: no tracker took it: %s", p->id, status,
		    errstr(rc < 0 ? rc : -rc));
}

/* --- one round --- */

static void send_as(struct peer *p, int status)
{
	int64_t ms;

	if (!peer_in_window(p, &ms)) {
		peer_phase(p, PEER_WAIT);
		peer_save(p, true);
		rest_for(p, ms < 60000 ? ms : 60000);
		return;
	}
	if (status == MEMBER_WAIT_SYNC)
		report(p, MEMBER_SYNCING);
	if (!(status != MEMBER_ACTIVE && p->row.filled))
		send_all(p);
	if (p->row.filled && p->row.source && status_of(p) == MEMBER_SYNCING &&
	    !peer_quits(p))
		report(p, MEMBER_OFFLINE);
}

static void go_round(struct peer *p)
{
	int status;
	int rc;

	p->changes_seen = __atomic_load_n(&p->changes, __ATOMIC_SEQ_CST);
	obey(p);
	status = status_of(p);
	if (status == MEMBER_DELETED || status == MEMBER_IP_CHANGED) {
		leave(p);
		return;
	}
	if (status != MEMBER_ACTIVE && status != MEMBER_WAIT_SYNC &&
	    status != MEMBER_SYNCING) {
		wait_for_news(p, PEER_WAIT);
		return;
	}
	rc = find_part(p, status);
	if (rc < 0) {
		if (rc != -ECANCELED)
			rest_for(p, beat_ms(p));
		return;
	}
	if (!p->row.source && status != MEMBER_ACTIVE)
		wait_for_news(p, PEER_WAIT);
	else
		send_as(p, status);
}

static int open_log(struct peer *p)
{
	char err[DB_ERR_MAX];
	int rc = records_read(p->st, DB_LOG, &p->log, err);

	if (rc < 0)
		log_error("sync_log", "peer=%s: the log cannot be read: %s",
		    p->id, err);
	return rc;
}

void *peer_run(void *arg)
{
	struct peer *p = arg;
	char name[16];

	snprintf(name, sizeof(name), "to-%.12s", p->id);
	pthread_setname_np(pthread_self(), name);
	p->second = clock_mono();
	while (!p->log && !peer_quits(p)) {
		if (open_log(p) < 0)
			(void)peer_sleep(p, RETRY_MS, NULL);
	}
	if (p->log)
		load_row(p);
	while (!peer_quits(p))
		go_round(p);
	peer_phase(p, PEER_DOWN);
	peer_save(p, true);
	if (p->log)
		db_close(p->log);
	if (p->catalogue)
		db_close(p->catalogue);
	return NULL;
}
