/* SPDX-License-Identifier: MIT */
/*
 * What trackers tell back: the leader and the members of our group
 * (cluster-protocol 1.7, 1.22). Only the leader tells anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "storaged/beat_impl.h"
#include "storaged/replicate.h"

#define FLAG_LEADER  1
#define FLAG_TRUNK   2
#define FLAG_MEMBERS 4
#define BRIEF_SIZE   67

const char *member_status_name(int status)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
		{ MEMBER_INIT, "INIT" },
		{ MEMBER_WAIT_SYNC, "WAIT_SYNC" },
		{ MEMBER_SYNCING, "SYNCING" },
		{ MEMBER_IP_CHANGED, "IP_CHANGED" },
		{ MEMBER_DELETED, "DELETED" },
		{ MEMBER_OFFLINE, "OFFLINE" },
		{ MEMBER_ONLINE, "ONLINE" },
		{ MEMBER_ACTIVE, "ACTIVE" },
		{ MEMBER_RECOVERY, "RECOVERY" },
		{ MEMBER_NONE, "NONE" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].status == status)
			return names[i].name;
	}
	return "unknown";
}

/* --- the leader --- */

static int asked_leads(struct beat *b, size_t index)
{
	struct msg_tracker_status reply = { 0 };
	const struct question q = {
		.command = CMD_tracker_get_status,
		.reply = &MSG(tracker_status),
		.out = &reply,
	};
	int rc = beat_ask_once(b, index, &q);

	return rc ? 0 : reply.is_leader != 0;
}

static int known_leader(struct beat *b)
{
	int leader;

	pthread_mutex_lock(&b->lock);
	leader = b->leader;
	pthread_mutex_unlock(&b->lock);
	return leader;
}

static void set_leader(struct beat *b, int leader)
{
	char text[ADDR_TEXT_MAX] = "";
	bool same;

	pthread_mutex_lock(&b->lock);
	same = b->leader == leader;
	b->leader = leader;
	pthread_mutex_unlock(&b->lock);
	if (same)
		return;
	if (leader >= 0)
		addr_text(&b->st->conf.trackers[leader].addrs[0], text,
		    sizeof(text));
	log_info("tracker_leader", "tracker=%s", text);
}

void members_find_leader(struct session *s)
{
	struct beat *b = s->beat;

	if (known_leader(b) >= 0)
		return;
	for (size_t i = 0; i < b->st->conf.n_trackers; i++) {
		if (beat_stopping(b))
			return;
		if (asked_leads(b, i)) {
			set_leader(b, (int)i);
			return;
		}
	}
}

static int find_tracker(const struct beat *b, const struct msg_brief *m)
{
	struct addr a = { 0 };

	if (addr_parse_ip(span_of(m->ip), &a) < 0)
		return -1;
	a.port = (uint16_t)m->port;
	for (size_t i = 0; i < b->st->conf.n_trackers; i++) {
		const struct tracker_entry *t = &b->st->conf.trackers[i];

		if (addr_equal(&t->addrs[0], &a) ||
		    (t->n == 2 && addr_equal(&t->addrs[1], &a)))
			return (int)i;
	}
	return -1;
}

/* Two trackers that both lead must choose again. */
static void take_leader(struct session *s, const struct msg_brief *m)
{
	static const struct question reselect = {
		.command = CMD_notify_reselect_leader,
	};
	struct beat *b = s->beat;
	int to = find_tracker(b, m);
	int old = known_leader(b);

	if (old >= 0 && to >= 0 && old != to && asked_leads(b, (size_t)old)) {
		log_warn("two_leaders", "both trackers are told to choose");
		(void)beat_ask_once(b, (size_t)old, &reselect);
		(void)beat_ask_once(b, (size_t)to, &reselect);
		to = -1;
	}
	set_leader(b, to);
}

/* --- the members --- */

/* What a list from the tracker does, and what it must be told in turn. */
struct merge {
	struct session *s;
	uint8_t tell[MEMBERS_MAX * BRIEF_SIZE];
	size_t n_tell;
	bool listed[MEMBERS_MAX];
	bool changed; /* the watcher must know */
	/* whom the tracker has as waiting, and we do not */
	char waiting[MEMBERS_MAX][STORAGE_ID_SIZE + 1];
	size_t n_waiting;
};

static struct msg_brief *find_member(struct beat *b, const char *id)
{
	for (size_t i = 0; i < b->n_members; i++) {
		if (strcmp(b->members[i].id, id) == 0)
			return &b->members[i];
	}
	return NULL;
}

int members_own_status(const struct beat *b)
{
	for (size_t i = 0; i < b->n_members; i++) {
		if (strcmp(b->members[i].id, b->st->me.id) == 0)
			return b->members[i].status;
	}
	return MEMBER_UNKNOWN;
}

void members_begin_again(struct beat *b)
{
	struct msg_brief *mine = find_member(b, b->st->me.id);

	if (mine)
		mine->status = MEMBER_INIT;
}

static void tell_back(struct merge *mg, const struct msg_brief *m)
{
	ssize_t n;

	if (mg->n_tell == MEMBERS_MAX)
		return;
	n = msg_encode(&MSG(brief), m, mg->tell + mg->n_tell * BRIEF_SIZE,
	    BRIEF_SIZE);
	if (n == BRIEF_SIZE)
		mg->n_tell++;
}

static bool is_gone(int status)
{
	return status == MEMBER_DELETED || status == MEMBER_IP_CHANGED;
}

/* The table of 1.22: the status to hold from now on; *keep: the tracker is to
 * be told that we hold ours. */
static int merge_status(int local, int told, bool *keep)
{
	*keep = false;
	if (local == told)
		return local;
	if (local == MEMBER_NONE)
		return told == MEMBER_OFFLINE || is_gone(told) ? local : told;
	if (told == MEMBER_OFFLINE &&
	    (local == MEMBER_ACTIVE || local == MEMBER_ONLINE))
		return told;
	if (local == MEMBER_OFFLINE)
		return told;
	if (told == MEMBER_OFFLINE) {
		*keep = local != MEMBER_INIT;
		return local;
	}
	*keep = (told == MEMBER_WAIT_SYNC || told == MEMBER_SYNCING) &&
	        local > told;
	return *keep ? local : told;
}

/*
 * The tracker believes that we wait to be filled, but we have been filled: it
 * crashed before it saved that (chapter 8, hazard 8). Nobody would ever fill
 * us again, so it is told that we need no source.
 */
static bool is_stale(const struct merge *mg, const struct msg_brief *mine,
    const struct msg_brief *told)
{
	struct identity *me = &mg->s->beat->st->me;

	return strcmp(mine->id, me->id) == 0 &&
	       mine->status >= MEMBER_OFFLINE &&
	       (told->status == MEMBER_WAIT_SYNC ||
	           told->status == MEMBER_SYNCING) &&
	       identity_is_settled(me);
}

static void merge_known(struct merge *mg, struct msg_brief *mine,
    const struct msg_brief *told)
{
	struct beat *b = mg->s->beat;
	bool is_self = strcmp(mine->id, b->st->me.id) == 0;
	bool keep;
	int status = merge_status(mine->status, told->status, &keep);

	if (is_stale(mg, mine, told)) {
		log_warn("stale_status",
		    "the tracker has us as %s, but we are complete; telling it",
		    member_status_name(told->status));
		status = mine->status;
		mg->s->is_complete = true;
		mg->s->rejoin = true;
	}
	if (status != mine->status)
		log_info("member_status", "id=%s from=%s to=%s", mine->id,
		    member_status_name(mine->status),
		    member_status_name(status));
	mg->changed |= status != mine->status || mine->port != told->port;
	mine->status = (uint8_t)status;
	mine->port = told->port;
	if (b->st->me.params.use_storage_id &&
	    strcmp(mine->ip, told->ip) != 0) {
		str_copy(mine->ip, sizeof(mine->ip), told->ip);
		mg->changed = true;
	}
	mg->listed[mine - b->members] = true;
	if (!keep)
		return;
	if (!is_self && told->status == MEMBER_WAIT_SYNC &&
	    mg->n_waiting < MEMBERS_MAX)
		str_copy(mg->waiting[mg->n_waiting++], sizeof(mg->waiting[0]),
		    mine->id);
	tell_back(mg, mine);
	if (is_self && told->status != MEMBER_OFFLINE)
		mg->s->rejoin = true;
}

static void merge_one(struct merge *mg, const struct msg_brief *told)
{
	struct beat *b = mg->s->beat;
	struct msg_brief *mine = find_member(b, told->id);

	if (strcmp(told->id, b->st->me.id) == 0)
		mg->s->shown.status = told->status;
	if (mine) {
		merge_known(mg, mine, told);
		return;
	}
	if (is_gone(told->status) || b->n_members == MEMBERS_MAX)
		return;
	log_info("member_new", "id=%s ip=%s status=%s", told->id, told->ip,
	    member_status_name(told->status));
	mg->listed[b->n_members] = true;
	b->members[b->n_members++] = *told;
	mg->changed = true;
}

/* Those that the list lacks; one whose sender has ended, too, is gone for
 * good and makes room. */
static void tell_unlisted(struct merge *mg)
{
	struct beat *b = mg->s->beat;
	size_t kept = 0;

	for (size_t i = 0; i < b->n_members; i++) {
		if (!mg->listed[i] && b->members[i].status == MEMBER_NONE)
			continue;
		if (!mg->listed[i])
			tell_back(mg, &b->members[i]);
		b->members[kept++] = b->members[i];
	}
	b->n_members = kept;
}

void members_tell(struct beat *b)
{
	if (b->st->members_changed)
		b->st->members_changed(b->st->members_arg);
}

/* --- who is one, for those that serve clients --- */

/* Of the process, not of beat: loops ask while beat starts and ends. */
static struct {
	pthread_mutex_t lock;
	size_t n;
	char ips[MEMBERS_MAX][sizeof(((struct msg_brief *)0)->ip)];
} known_ips = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void publish_ips(const struct beat *b)
{
	pthread_mutex_lock(&known_ips.lock);
	known_ips.n = b->n_members;
	for (size_t i = 0; i < b->n_members; i++)
		str_copy(known_ips.ips[i], sizeof(known_ips.ips[i]),
		    b->members[i].ip);
	pthread_mutex_unlock(&known_ips.lock);
}

bool beat_is_member_ip(const char *ip)
{
	bool found = false;

	pthread_mutex_lock(&known_ips.lock);
	for (size_t i = 0; i < known_ips.n && !found; i++)
		found = strcmp(known_ips.ips[i], ip) == 0;
	pthread_mutex_unlock(&known_ips.lock);
	return found;
}

/* A member may have come back empty before we heard that it was away: its
 * sender finds out. */
static void look_again(const struct merge *mg)
{
	struct replicate *r =
	    __atomic_load_n(&mg->s->beat->st->replicate, __ATOMIC_ACQUIRE);

	for (size_t i = 0; r && i < mg->n_waiting; i++)
		replicate_look_again(r, mg->waiting[i]);
}

static int take_members(struct session *s, struct span list)
{
	struct merge mg = { .s = s };
	struct msg_brief m;

	pthread_mutex_lock(&s->beat->lock);
	while (msg_next(&MSG(brief), &list, &m) > 0)
		merge_one(&mg, &m);
	tell_unlisted(&mg);
	publish_ips(s->beat);
	pthread_mutex_unlock(&s->beat->lock);
	if (mg.changed)
		members_tell(s->beat);
	look_again(&mg);
	if (!mg.n_tell)
		return 0;
	return client_ask(s->client, CMD_replica_chg, &MSG(briefs),
	    &(struct msg_briefs){
	        .members = { (const char *)mg.tell, mg.n_tell * BRIEF_SIZE } },
	    NULL, NULL);
}

int members_take(struct session *s, const void *body, size_t n)
{
	struct msg_changes m;
	struct msg_brief brief;

	if (n == 0)
		return 0;
	if (msg_decode(&MSG(changes), body, n, &m, NULL) < 0 ||
	    m.members.n % BRIEF_SIZE != 0)
		return -EPROTO;
	if (m.flags & FLAG_LEADER) {
		if (msg_next(&MSG(brief), &m.members, &brief) <= 0)
			return -EPROTO;
		take_leader(s, &brief);
	}
	if ((m.flags & FLAG_TRUNK) &&
	    msg_next(&MSG(brief), &m.members, &brief) <= 0)
		return -EPROTO;
	return m.flags & FLAG_MEMBERS ? take_members(s, m.members) : 0;
}
