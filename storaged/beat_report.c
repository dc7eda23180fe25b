/* SPDX-License-Identifier: MIT */
/* What a joined session tells its tracker again and again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "storaged/beat_impl.h"

#define ANSWER_ROOM (1 + (MEMBERS_MAX + 2) * 67)
#define DISK_RECORD 16
#define STAMP_SIZE  20
#define MIB         UINT64_C(1048576)

/* A report whose answer may bring news (1.7). */
static int report(struct session *s, uint8_t command, const void *body,
    size_t n)
{
	uint8_t answer[ANSWER_ROOM];
	struct client_reply reply = { answer, sizeof(answer), 0 };
	int rc = client_call(s->client, command, body, n, &reply);

	return rc ? rc : members_take(s, answer, reply.n);
}

static int tell_refused(struct session *s, int rc, const char *what,
    const char *why)
{
	char name[ADDR_TEXT_MAX];

	if (rc > 0)
		log_error("tracker_refuses", "tracker=%s status=%d: %s: %s",
		    session_name(s, name, sizeof(name)), rc, what, why);
	return rc;
}

/* --- BEAT and DISK_USAGE --- */

/* What a beat does to our status on the tracker (2.2). */
static void follow_beat(struct session *s)
{
	pthread_mutex_lock(&s->beat->lock);
	if (s->shown.status == MEMBER_OFFLINE ||
	    s->shown.status == MEMBER_ONLINE ||
	    s->shown.status == MEMBER_RECOVERY)
		s->shown.status = MEMBER_ACTIVE;
	s->shown.last_beat = clock_wall_sec();
	pthread_mutex_unlock(&s->beat->lock);
}

int session_beat(struct session *s)
{
	struct storage *st = s->beat->st;
	unsigned at = __atomic_load_n(&st->stat_changes, __ATOMIC_RELAXED);
	struct msg_beat_stats m;
	uint8_t body[STATS_SIZE];
	ssize_t n = 0;
	int rc;

	if (!s->sent_stats || at != s->stats_at) {
		storage_stats(st, &m.stats);
		m.stats.last_synced_timestamp = 0;
		m.stats.last_heart_beat_time = 0;
		n = msg_encode(&MSG(beat_stats), &m, body, sizeof(body));
	}
	follow_beat(s);
	rc = report(s, CMD_beat, body, (size_t)n);
	if (rc)
		return tell_refused(s, rc, "BEAT",
		    "the tracker does not take the heart beat");
	s->sent_stats = true;
	s->stats_at = at;
	return session_changelog(s);
}

int session_disk_usage(struct session *s)
{
	struct stores *store = &s->beat->st->store;
	size_t size = store->n * DISK_RECORD;
	uint8_t *body = xcalloc(store->n, DISK_RECORD);
	int rc;

	for (size_t i = 0; i < store->n; i++) {
		const struct store_path *p = &store->paths[i];
		struct msg_disk_path m = {
			.total_mb = (int64_t)(atomic_load(&p->total) / MIB),
			.free_mb = (int64_t)(atomic_load(&p->avail) / MIB),
		};

		(void)msg_encode(&MSG(disk_path), &m, body + i * DISK_RECORD,
		    DISK_RECORD);
	}
	rc = report(s, CMD_report_disk_usage, body, size);
	free(body);
	return tell_refused(s, rc, "DISK_USAGE",
	    "every storage of a group needs the same store_path_count");
}

/* --- SYNC_REPORT --- */

static int64_t progress_of(const struct progress *p, const char *id)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->entries[i].id, id) == 0)
			return p->entries[i].time;
	}
	return 0;
}

/* Every member, ourselves (0) included (1.10). */
static size_t put_stamps(struct session *s, uint8_t *body, size_t cap)
{
	struct beat *b = s->beat;
	size_t n = 0;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->n_members; i++) {
		const char *id = b->members[i].id;
		struct msg_sync_stamp m = { .time = 0 };
		ssize_t size;

		str_copy(m.id, sizeof(m.id), id);
		if (strcmp(id, b->st->me.id) != 0)
			m.time = (int32_t)progress_of(&s->before, id);
		size = msg_encode(&MSG(sync_stamp), &m, body + n, cap - n);
		n += size > 0 ? (size_t)size : 0;
	}
	pthread_mutex_unlock(&b->lock);
	return n;
}

/*
 * What is told is what was so in the round before, at least a second ago.
 * Readers are sent to us for a file of second T as soon as we say that we
 * have later ones. Operations of neighbouring seconds may arrive a little out
 * of the order of their files' times (a file is named when its upload begins
 * and recorded when it ends; stock senders work in parallel), so a time is
 * told only after those before it had a second to follow.
 */
int session_sync_report(struct session *s, bool due, bool *sent)
{
	struct progress now;
	uint8_t body[MEMBERS_MAX * STAMP_SIZE];
	size_t n = 0;
	int rc = 0;

	now.n = synced_get(&s->beat->st->synced, now.entries, SYNCED_MAX,
	    &now.changes);
	if (due && s->before.changes != s->reported)
		n = put_stamps(s, body, sizeof(body));
	*sent = n > 0;
	if (n > 0)
		rc = report(s, CMD_sync_report, body, n);
	if (n > 0 && rc == 0)
		s->reported = s->before.changes;
	s->before = now;
	return tell_refused(s, rc, "SYNC_REPORT",
	    "the tracker does not take how far we follow the others");
}

/* --- CHANGE_STATUS --- */

static bool is_up(int status)
{
	return status == MEMBER_OFFLINE || status == MEMBER_ONLINE ||
	       status == MEMBER_ACTIVE;
}

/* The leader's opinion, when it is to be told to this tracker; else -1. The
 * opinions are compared once after each JOIN: later only the leader tells. */
static int other_opinion(struct session *s)
{
	struct beat *b = s->beat;
	int leaders = MEMBER_UNKNOWN;
	int here;

	pthread_mutex_lock(&b->lock);
	here = s->shown.status;
	if (b->leader >= 0 && b->leader != (int)s->index &&
	    b->sessions[b->leader].shown.joined)
		leaders = b->sessions[b->leader].shown.status;
	if (b->leader == (int)s->index)
		s->settled = true;
	pthread_mutex_unlock(&b->lock);
	if (leaders == MEMBER_UNKNOWN)
		return MEMBER_UNKNOWN;
	s->settled = true;
	if (leaders == here || (is_up(leaders) && is_up(here)))
		return MEMBER_UNKNOWN;
	return leaders;
}

/* What we believe of a follower may be old: others have told it of us (76). */
static bool is_news(struct session *s, int status)
{
	const int here = beat_ask_own_status(s->beat, s->index);

	if (here == MEMBER_UNKNOWN)
		return true;
	session_set_status(s, here);
	return here != status && !(is_up(here) && is_up(status));
}

int session_settle(struct session *s, bool *rejoin)
{
	struct msg_one_status m;
	char name[ADDR_TEXT_MAX];
	int status;
	int rc;

	*rejoin = false;
	status = s->settled ? MEMBER_UNKNOWN : other_opinion(s);
	if (status == MEMBER_UNKNOWN || !is_news(s, status))
		return 0;
	log_info("status_repaired", "tracker=%s has=%s leader=%s",
	    session_name(s, name, sizeof(name)),
	    member_status_name(session_status(s)), member_status_name(status));
	m.status = (uint8_t)status;
	rc = client_ask(s->client, CMD_change_status, &MSG(one_status), &m,
	    NULL, NULL);
	*rejoin = rc == 0;
	return rc;
}
